//! OpenSSH user certificates: whether one can log in with a key now, and if not, why.
//!
//! The format is PROTOCOL.certkeys of OpenSSH. Whether the host trusts the authority, and which principals it takes
//! (`AuthorizedPrincipalsFile`), only the host knows.

use chrono::{DateTime, Utc};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg, PrivateKey};

/// Reads the text of a certificate and checks that it goes with the key and is valid `now`. The error completes a
/// sentence that names the certificate.
pub(super) fn usable(text: &str, key: &PrivateKey, now: DateTime<Utc>) -> Result<Certificate, String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let certificate = Certificate::from_openssh(line).map_err(
        |_| "is not an OpenSSH certificate (one line `ssh-…-cert-v01@openssh.com AAAA…`, as in a file …-cert.pub)",
    )?;
    if certificate.cert_type() != CertType::User {
        return Err("is a host certificate; a login needs a user certificate".to_owned());
    }
    let (its, ours) = (certificate.public_key(), key.public_key());
    if its != ours.key_data() {
        let (its, ours) = (its.fingerprint(HashAlg::Sha256), ours.fingerprint(HashAlg::Sha256));
        return Err(format!("belongs to another key: it is for {its}, the key is {ours}"));
    }
    if certificate.algorithm().is_rsa() {
        // russh asks for `ssh-rsa-cert-v01@openssh.com`, which is SHA-1 and taken by no sshd since 8.8 (0.62.7).
        return Err(
            "is for an RSA key, with which only the outdated SHA-1 would be possible; certify an Ed25519 or ECDSA key"
                .to_owned(),
        );
    }
    if instant(certificate.valid_after()).is_none_or(|from| now < from) {
        return Err(format!("is not valid yet: only from {}", shown(certificate.valid_after())));
    }
    if instant(certificate.valid_before()).is_some_and(|until| until <= now) {
        return Err(format!("has expired: it was valid until {}", shown(certificate.valid_before())));
    }
    Ok(certificate)
}

/// What may be wrong with a certificate that a host has refused for this user.
pub(super) fn remedy(certificate: &Certificate, user: &str) -> String {
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    let principals = certificate.valid_principals();
    let trusted = format!("check TrustedUserCAKeys of its sshd_config for the authority {authority}");
    if principals.iter().any(|principal| principal == user) {
        trusted
    } else if principals.is_empty() {
        format!("the certificate names no principals, of which \"{user}\" must be one; {trusted}")
    } else {
        format!("its principals are {}, and \"{user}\" is none of them; {trusted}", principals.join(", "))
    }
}

/// Seconds since 1970; none for one that is for ever.
fn instant(seconds: u64) -> Option<DateTime<Utc>> {
    i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
}

fn shown(seconds: u64) -> String {
    instant(seconds).map_or_else(|| "for ever".to_owned(), |at| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}
