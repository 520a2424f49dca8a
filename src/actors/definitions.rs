//! Definitions between the catalog and the store: documents as JSON, secrets apart and sealed.

use std::collections::{BTreeMap, HashSet};

use super::catalog::{Draft, stamped};
use crate::for_each_noun;
use crate::model::{
    AnyDefinition, Catalog, Defaults, Definition, Fault, Noun, Reference, SecretText, Secrets, Timestamp,
};
use crate::store::{DefinitionRow, StoreError};
use crate::vault::Vault;

/// Where a definition's secrets belong: nobody can move them to another definition unnoticed.
fn place(noun: Noun, name: &str) -> String {
    format!("{}/{name}", noun.singular())
}

/// A definition as it is kept.
pub(super) fn to_row(definition: &AnyDefinition, vault: &Vault) -> Result<DefinitionRow, String> {
    macro_rules! parts {
        ($($kind:ident $field:ident),*) => {
            match definition {
                $(AnyDefinition::$kind(one) => {
                    (one.meta(), serde_json::to_string(&one.document()), one.secrets())
                })*
            }
        };
    }
    let (meta, body, secrets) = for_each_noun!(parts);
    let noun = definition.reference().noun;
    let sealed = if secrets.is_empty() {
        None
    } else {
        let clear: BTreeMap<&str, &str> =
            secrets.iter().map(|(field, secret)| (field.as_str(), secret.reveal())).collect();
        let clear = zeroize::Zeroizing::new(serde_json::to_vec(&clear).map_err(|error| error.to_string())?);
        Some(vault.seal(&place(noun, meta.name.as_str()), &clear))
    };
    let stamp = |stamp: Option<Timestamp>| stamp.ok_or_else(|| "a definition without its time".to_owned());
    Ok(DefinitionRow {
        noun,
        name: meta.name.clone(),
        version: meta.version,
        created_at: stamp(meta.created_at)?,
        updated_at: stamp(meta.updated_at)?,
        body: body.map_err(|error| error.to_string())?,
        sealed,
    })
}

/// The catalog that these rows make.
pub fn read_rows(
    revision: u64,
    rows: Vec<DefinitionRow>,
    vault: &Vault,
    defaults: &Defaults,
) -> Result<Catalog, StoreError> {
    let mut catalog = Catalog { revision, ..Catalog::default() };
    for row in rows {
        let what = format!("{} \"{}\"", row.noun, row.name);
        let definition = read_row(row, vault, defaults)
            .map_err(|cause| StoreError::Corrupt(format!("{what} cannot be read: {cause}")))?;
        catalog.insert(definition);
    }
    Ok(catalog)
}

/// What is wrong with these definitions, which are all there are, a line each: those that cannot be read, and names of what
/// is not there. Secrets are not looked at: no key is needed for that.
pub fn faults_of(rows: &[DefinitionRow]) -> Vec<String> {
    let all: HashSet<Reference> = rows.iter().map(|row| Reference { noun: row.noun, name: row.name.clone() }).collect();
    let faults = rows.iter().flat_map(|row| {
        let what = format!("{} \"{}\"", row.noun, row.name);
        match Draft::read(row.noun, &row.body) {
            Err(error) => vec![format!("{what} cannot be read: {error}")],
            Ok(draft) => {
                let missing = draft.named().into_iter().filter(|(_, named)| !all.contains(named));
                missing.map(|(place, named)| format!("{what} names {named} at {place}, which is not there")).collect()
            }
        }
    });
    faults.collect()
}

fn read_row(row: DefinitionRow, vault: &Vault, defaults: &Defaults) -> Result<AnyDefinition, String> {
    let secrets = match &row.sealed {
        None => Secrets::new(),
        Some(sealed) => {
            let clear = vault.unseal(&place(row.noun, row.name.as_str()), sealed).map_err(|error| error.to_string())?;
            let clear: BTreeMap<String, String> =
                serde_json::from_slice(&clear).map_err(|_| "its secrets are not what was sealed".to_owned())?;
            clear.into_iter().map(|(field, secret)| (field, SecretText::new(secret))).collect()
        }
    };
    let draft = Draft::read(row.noun, &row.body).map_err(|error| error.to_string())?;
    let definition = draft.check_stored(&secrets, defaults).map_err(|faults| told(&faults))?;
    Ok(stamped(definition, row.version, row.created_at, row.updated_at))
}

fn told(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn row(noun: Noun, name: &str, body: &str) -> DefinitionRow {
        let at = Timestamp::from_millis(0).unwrap();
        let name = Name::parse_link(name).unwrap();
        DefinitionRow { noun, name, version: 1, created_at: at, updated_at: at, body: body.to_owned(), sealed: None }
    }

    #[test]
    fn what_cannot_be_read_and_names_of_what_is_not_there_are_told() {
        let mut rows = vec![
            row(Noun::Host, "h", r#"{"name":"h","address":"h"}"#),
            row(Noun::Task, "t", r#"{"name":"t","command":"true"}"#),
            row(Noun::HostTask, "t@h", r#"{"name":"t@h","task":"t","host":"h"}"#),
        ];
        assert_eq!(faults_of(&rows), Vec::<String>::new());
        rows.push(row(Noun::HostTask, "t@g", r#"{"name":"t@g","task":"t","host":"g"}"#));
        rows.push(row(Noun::Task, "u", r#"{"name":"u","comm"#));
        let [missing, unread] = &faults_of(&rows)[..] else { panic!("{:?}", faults_of(&rows)) };
        assert!(missing.contains("t@g") && missing.contains("host \"g\" at /host"), "{missing}");
        assert!(unread.contains("task \"u\" cannot be read"), "{unread}");
    }
}
