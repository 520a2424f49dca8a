//! Secrets: texts that other definitions and runs name instead of holding them.

use std::sync::Arc;

use super::credential::is_one_line;
use super::definition::{Defaults, Definition, Meta, Secrets, document, take_secret};
use super::work::check_text;
use super::{Catalog, Credential, Fault, Faults, Noun, SecretField, SecretText, TextValue};

/// A text that is kept sealed and named where it is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    /// The common fields.
    pub meta: Meta,
    /// The text.
    pub value: SecretText,
}

document! {
    /// A secret as a document.
    pub struct SecretDocument {
        /// Write-only.
        pub value: Option<SecretField>,
    }
}

impl Definition for Secret {
    const NOUN: Noun = Noun::Secret;
    type Document = SecretDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: SecretDocument, kept: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Secret, None, &mut faults);
        if document.value.is_none() {
            faults.add("/value", "is required; {\"set\": true} keeps the value that is there");
        }
        let value = take_secret("value", document.value, kept, &mut faults);
        if let Some(value) = &value {
            check_text("/value", value.reveal(), &mut faults);
            if value.reveal().is_empty() {
                faults.add("/value", "must not be empty");
            }
        }
        faults.into_result(meta.zip(value).map(|(meta, value)| Self { meta, value }))
    }

    fn document(&self) -> SecretDocument {
        SecretDocument { value: Some(SecretField::Kept), ..SecretDocument::with_meta(&self.meta) }
    }

    fn secrets(&self) -> Secrets {
        Secrets::from([("value".to_owned(), self.value.clone())])
    }

    fn keep_left_out(document: &mut SecretDocument, now: Option<&Self>) {
        if document.value.is_none() && now.is_some() {
            document.value = Some(SecretField::Kept);
        }
    }

    fn misfits_of(document: &SecretDocument, catalog: &Catalog) -> Vec<Fault> {
        let (Some(name), Some(SecretField::New(value))) = (&document.name, &document.value) else { return Vec::new() };
        if is_one_line(value.reveal()) {
            return Vec::new();
        }
        let sudo_password = |one: &Credential| one.sudo_password.as_ref().and_then(TextValue::secret) == Some(name);
        let user = catalog.credentials.values().find(|one| sudo_password(one));
        let told =
            |one: &Arc<Credential>| format!("must be one line: it is credential \"{}\"'s sudo_password", one.meta.name);
        user.map(|one| Fault::new("/value", told(one))).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, kept: &Secrets) -> Result<Secret, Vec<Fault>> {
        Secret::check(serde_json::from_str(json).unwrap(), kept, &Defaults::default())
    }

    #[test]
    fn its_value_is_kept_and_never_shown() {
        let first = check(r#"{"name":"token","value":"hunter2"}"#, &Secrets::new()).unwrap();
        let shown = serde_json::to_string(&first.document()).unwrap();
        assert!(shown.contains(r#""value":{"set":true}"#) && !shown.contains("hunter2"), "{shown}");
        assert!(!format!("{first:?}").contains("hunter2"));
        assert_eq!(check(&shown, &first.secrets()).unwrap(), first);
    }

    #[test]
    fn it_has_a_value_that_a_text_may_be() {
        let long = format!(r#"{{"name":"a","value":"{}"}}"#, "x".repeat(262_145));
        for bad in [
            r#"{"name":"a"}"#,
            r#"{"name":"a","value":""}"#,
            r#"{"name":"a","value":"a\u0000b"}"#,
            r#"{"name":"a","value":{"set":true}}"#,
            &long,
        ] {
            let faults = check(bad, &Secrets::new()).unwrap_err();
            assert_eq!(faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>(), ["/value"], "{faults:?}");
        }
        assert!(check(r#"{"name":"a","value":"two\nlines ünïcödé\n"}"#, &Secrets::new()).is_ok());
    }
}
