//! Credentials: how to log in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::definition::{Defaults, Definition, Meta, Secrets, document, take_secret, take_text};
use super::{Catalog, Fault, Faults, Noun, Reference, SecretField, SecretText, TextValue};

/// How the type of every certificate ends.
const CERTIFICATE: &str = "-cert-v01@openssh.com";
/// Longest certificate, in bytes.
const LONGEST_CERTIFICATE: usize = 65_536;

/// How to log in to hosts.
#[derive(Debug, Clone, PartialEq)]
pub struct Credential {
    /// The common fields.
    pub meta: Meta,
    /// The user to log in as, unless the host says otherwise.
    pub user: Option<String>,
    /// What proves it.
    pub proof: Proof,
    /// What sudo is told where it asks the user that is logged in for a password.
    pub sudo_password: Option<TextValue<SecretText>>,
}

/// What proves who we are.
#[derive(Debug, Clone, PartialEq)]
pub enum Proof {
    /// A password.
    Password(TextValue<SecretText>),
    /// A private key as PEM or OpenSSH text.
    PrivateKey {
        /// The key's text.
        key: SecretText,
        /// What decrypts it.
        passphrase: Option<TextValue<SecretText>>,
        /// The OpenSSH user certificate that goes with it, one line; it is public.
        certificate: Option<String>,
    },
    /// A private key in a file of the Alf machine.
    KeyFile {
        /// Its path; `~` is the home directory of the user Alf runs as.
        path: String,
        /// What decrypts it.
        passphrase: Option<TextValue<SecretText>>,
    },
    /// The agent at `SSH_AUTH_SOCK` of the Alf process.
    Agent,
}

document! {
    /// A credential as a document.
    pub struct CredentialDocument {
        /// The user to log in as.
        pub user: Option<String>,
        /// Write-only.
        pub password: Option<SecretField>,
        /// Write-only: PEM or OpenSSH text.
        pub private_key: Option<SecretField>,
        /// A path on the Alf machine.
        pub key_file: Option<String>,
        /// Write-only: decrypts `private_key` or `key_file`.
        pub passphrase: Option<SecretField>,
        /// The OpenSSH user certificate of `private_key`, as in its `…-cert.pub` file.
        pub certificate: Option<String>,
        /// Use the agent of the Alf process.
        pub agent: Option<bool>,
        /// Write-only: for tasks with `run_as` where sudo asks for a password.
        pub sudo_password: Option<SecretField>,
    }
}

impl Definition for Credential {
    const NOUN: Noun = Noun::Credential;
    type Document = CredentialDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: CredentialDocument, kept: &Secrets, _: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Credential, None, &mut faults);
        let user = document.user.filter(|user| check_user("/user", user, &mut faults));
        let password = take_text("password", document.password, kept, &mut faults);
        let key = take_secret("private_key", document.private_key, kept, &mut faults);
        let passphrase = take_text("passphrase", document.passphrase, kept, &mut faults);
        for (pointer, secret) in [("/password", &password), ("/passphrase", &passphrase)] {
            let own = secret.as_ref().and_then(TextValue::own_secret);
            if own.is_some_and(|text| text.is_empty() || text.contains('\0')) {
                faults.add(pointer, "must not be empty nor hold a NUL byte");
            }
        }
        let sudo_password = take_text("sudo_password", document.sudo_password, kept, &mut faults);
        if sudo_password.as_ref().and_then(TextValue::own_secret).is_some_and(|password| !is_one_line(password)) {
            faults.add("/sudo_password", "must be one line and not empty: sudo reads no further");
        }
        let agent = document.agent == Some(true);
        let given = [password.is_some(), key.is_some(), document.key_file.is_some(), agent];
        if given.iter().filter(|given| **given).count() != 1 {
            faults.add("", "exactly one of password, private_key, key_file and agent: true must be given");
        }
        if passphrase.is_some() && (password.is_some() || agent) {
            faults.add("/passphrase", "goes with private_key or key_file only");
        }
        let certificate = document.certificate.map(|text| text.trim().to_owned());
        if let Some(certificate) = &certificate {
            if key.is_none() && given.contains(&true) {
                faults.add("/certificate", "goes with private_key only");
            }
            check_certificate(certificate, &mut faults);
        }
        if let Some(path) = &document.key_file
            && (path.is_empty() || path.contains('\0'))
        {
            faults.add("/key_file", "must be a path on the Alf machine");
        }
        if let Some(key) = &key
            && !key.reveal().contains("PRIVATE KEY-----")
        {
            faults.add("/private_key", "is not a private key: expected the text of a PEM or OpenSSH key file");
        }
        let proof = match (password, key, document.key_file, agent) {
            (Some(password), ..) => Some(Proof::Password(password)),
            (None, Some(key), ..) => Some(Proof::PrivateKey { key, passphrase, certificate }),
            (None, None, Some(path), _) => Some(Proof::KeyFile { path, passphrase }),
            (None, None, None, true) => Some(Proof::Agent),
            _ => None,
        };
        let credential = meta.zip(proof).map(|(meta, proof)| Self { meta, user, proof, sudo_password });
        faults.into_result(credential)
    }

    fn document(&self) -> CredentialDocument {
        let mut document = CredentialDocument { user: self.user.clone(), ..CredentialDocument::with_meta(&self.meta) };
        let shown = |value: &Option<TextValue<SecretText>>| value.as_ref().map(TextValue::shown);
        document.sudo_password = shown(&self.sudo_password);
        match &self.proof {
            Proof::Password(password) => document.password = Some(password.shown()),
            Proof::PrivateKey { passphrase, certificate, .. } => {
                document.private_key = Some(SecretField::Kept);
                document.passphrase = shown(passphrase);
                document.certificate.clone_from(certificate);
            }
            Proof::KeyFile { path, passphrase } => {
                document.key_file = Some(path.clone());
                document.passphrase = shown(passphrase);
            }
            Proof::Agent => document.agent = Some(true),
        }
        document
    }

    fn keep_left_out(document: &mut CredentialDocument, now: Option<&Self>) {
        let Some(now) = now else { return };
        let kept = now.secrets();
        let keep = |name: &str, field: &mut Option<SecretField>| {
            if field.is_none() && kept.contains_key(name) {
                *field = Some(SecretField::Kept);
            }
        };
        let other_proof = document.key_file.is_some() || document.agent == Some(true);
        if !other_proof && document.private_key.is_none() {
            keep("password", &mut document.password);
        }
        if !other_proof && document.password.is_none() {
            keep("private_key", &mut document.private_key);
        }
        // A passphrase goes with its key.
        let same_key = match &now.proof {
            Proof::PrivateKey { .. } => document.private_key == Some(SecretField::Kept),
            Proof::KeyFile { .. } => document.key_file.is_some(),
            Proof::Password(_) | Proof::Agent => false,
        };
        if same_key {
            keep("passphrase", &mut document.passphrase);
        }
        keep("sudo_password", &mut document.sudo_password);
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        let mut keep = |field: &str, value: Option<&TextValue<SecretText>>| {
            if let Some(TextValue::Own(secret)) = value {
                secrets.insert(field.to_owned(), secret.clone());
            }
        };
        keep("sudo_password", self.sudo_password.as_ref());
        match &self.proof {
            Proof::Password(password) => keep("password", Some(password)),
            Proof::PrivateKey { key, passphrase, .. } => {
                keep("passphrase", passphrase.as_ref());
                secrets.insert("private_key".to_owned(), key.clone());
            }
            Proof::KeyFile { passphrase, .. } => keep("passphrase", passphrase.as_ref()),
            Proof::Agent => {}
        }
        secrets
    }

    fn named_in(document: &CredentialDocument) -> Vec<(String, Reference)> {
        let fields = [
            ("/password", &document.password),
            ("/passphrase", &document.passphrase),
            ("/sudo_password", &document.sudo_password),
        ];
        let named = fields.into_iter().filter_map(|(pointer, field)| {
            Reference::to(Noun::Secret, pointer, field.as_ref().and_then(SecretField::secret))
        });
        named.collect()
    }

    fn misfits_of(document: &CredentialDocument, catalog: &Catalog) -> Vec<Fault> {
        let secret = document.sudo_password.as_ref().and_then(SecretField::secret);
        let text = secret.and_then(|name| catalog.secret(name));
        let detail = "names a secret of more than one line: sudo reads no further";
        let misfit = text.filter(|text| !is_one_line(text.reveal())).map(|_| Fault::new("/sudo_password", detail));
        misfit.into_iter().collect()
    }
}

pub(super) fn is_one_line(text: &str) -> bool {
    !text.is_empty() && !text.contains(['\n', '\r', '\0'])
}

/// A certificate's file has one line: type, base64, comment (PROTOCOL.certkeys of OpenSSH).
fn check_certificate(line: &str, faults: &mut Faults) {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let kind = words.next().unwrap_or_default();
    let blob = words.next().and_then(|word| STANDARD.decode(word).ok()).unwrap_or_default();
    // The first field of what is signed is the type once more, after its length.
    let named = blob.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes()));
    if !is_one_line(line) || line.len() > LONGEST_CERTIFICATE || !kind.ends_with(CERTIFICATE) || !named {
        let detail = format!("must be the one line of an OpenSSH user certificate: ssh-…{CERTIFICATE} AAAA…");
        faults.add("/certificate", detail);
    }
}

/// Whether a text may be the name of a user on a host; notes a fault where not.
pub(super) fn check_user(pointer: &str, user: &str, faults: &mut Faults) -> bool {
    let good = !user.is_empty() && user.len() <= 256 && !user.chars().any(|c| c.is_control() || c.is_whitespace());
    if !good {
        faults.add(pointer, "must be a user name: 1 to 256 bytes, no white space, no control characters");
    }
    good
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, kept: &Secrets) -> Result<Credential, Vec<Fault>> {
        Credential::check(serde_json::from_str(json).unwrap(), kept, &Defaults::default())
    }

    #[test]
    fn exactly_one_proof() {
        let none = Secrets::new();
        assert!(check(r#"{"name":"a","password":"x"}"#, &none).is_ok());
        assert!(check(r#"{"name":"a","agent":true}"#, &none).is_ok());
        assert!(check(r#"{"name":"a","key_file":"~/.ssh/id","passphrase":"x"}"#, &none).is_ok());
        for bad in [
            r#"{"name":"a"}"#,
            r#"{"name":"a","agent":false}"#,
            r#"{"name":"a","password":"x","agent":true}"#,
            r#"{"name":"a","password":"x","passphrase":"y"}"#,
            r#"{"name":"a","private_key":"no key"}"#,
            r#"{"name":"a","password":{"set":true}}"#,
        ] {
            assert!(check(bad, &none).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_goes_with_a_private_key_and_is_shown() {
        let none = Secrets::new();
        let kind = "ssh-ed25519-cert-v01@openssh.com";
        let mut blob = 32_u32.to_be_bytes().to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.extend_from_slice(&[7; 60]);
        let line = format!("{kind} {} alf@fleet", STANDARD.encode(&blob));
        let with = |proof: &str, line: &str| {
            let json = format!(r#"{{"name":"a",{proof},"certificate":{}}}"#, serde_json::to_string(line).unwrap());
            check(&json, &none)
        };
        let key = r#""private_key":"-----BEGIN OPENSSH PRIVATE KEY-----","sudo_password":"s3cret""#;
        // Files end with a newline.
        let credential = with(key, &format!("{line}\n")).unwrap();
        let document = credential.document();
        assert_eq!(document.certificate.as_deref(), Some(line.as_str()));
        let again = check(&serde_json::to_string(&document).unwrap(), &credential.secrets()).unwrap();
        assert_eq!(again, credential);
        for (proof, line) in [
            (r#""password":"x""#, line.as_str()),
            (r#""key_file":"~/.ssh/id""#, &line),
            (r#""agent":true"#, &line),
            (key, &line.replace(' ', "\n")),
            (key, kind),
            (key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJx"),
            (key, &format!("ssh-rsa-cert-v01@openssh.com {}", STANDARD.encode(&blob))),
            (key, ""),
        ] {
            let faults = with(proof, line).unwrap_err();
            assert!(faults.iter().all(|fault| fault.pointer == "/certificate"), "{proof} {line}: {faults:?}");
        }
    }

    #[test]
    fn sudos_password_stands_beside_any_proof_and_is_kept() {
        for proof in [r#""password":"x""#, r#""agent":true"#, r#""key_file":"~/.ssh/id""#] {
            let json = format!(r#"{{"name":"a",{proof},"sudo_password":"s3cret"}}"#);
            let first = check(&json, &Secrets::new()).unwrap();
            let shown = serde_json::to_string(&first.document()).unwrap();
            assert!(shown.contains(r#""sudo_password":{"set":true}"#) && !shown.contains("s3cret"), "{shown}");
            assert_eq!(check(&shown, &first.secrets()).unwrap().sudo_password, first.sudo_password);
        }
        for bad in ["", "two\\nlines"] {
            assert!(
                check(&format!(r#"{{"name":"a","agent":true,"sudo_password":"{bad}"}}"#), &Secrets::new()).is_err()
            );
        }
    }

    #[test]
    fn secrets_are_kept_and_never_shown() {
        let first = check(r#"{"name":"a","password":"hunter2"}"#, &Secrets::new()).unwrap();
        let shown = serde_json::to_string(&first.document()).unwrap();
        assert!(shown.contains(r#""password":{"set":true}"#) && !shown.contains("hunter2"), "{shown}");
        let again = check(&shown, &first.secrets()).unwrap();
        assert_eq!(again.proof, first.proof);
    }
}
