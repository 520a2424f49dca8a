//! The vault: encrypts secrets before they reach the store, with a key that is kept in a file of its own.
//!
//! A sealed secret is `enc:v1:`, the key's id (8 bytes), a nonce (24 bytes) and the ciphertext with its tag:
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), a random nonce each time, the place it belongs to as associated
//! data, so that nobody can move a secret to another definition unnoticed.
//!
//! While the key is being changed (`rotation`), the file holds several: the first seals, any of them opens.

mod key_file;
mod rotation;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// In front of everything that is sealed.
const FORM: &[u8] = b"enc:v1:";

/// Why the vault cannot be opened, or a secret in it not. One line: what, where, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be read or made.
    #[error("cannot {verb} the key file {}: {cause}", path.display())]
    File {
        /// `read`, `create` or `replace`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Others can get at the key.
    #[error("the key file {} has mode {mode:04o}, so that others may read or change it: run chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is no key in the file.
    #[error("the key file {} must hold 32 bytes as one line of base64 (two such lines while the key is being changed): restore it; if no secret was ever stored, remove it and a new one is made", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Somebody put another file in its place.
    #[error("the key file {} does not hold the key that Alf uses any more: put that one back, nothing was changed", path.display())]
    Exchanged {
        /// The file.
        path: PathBuf,
    },
    /// It was not sealed by a vault.
    #[error("the secret of {place} is not in the form enc:v1")]
    NotSealed {
        /// Where it belongs.
        place: String,
    },
    /// It was sealed with another key.
    #[error(
        "the secret of {place} was encrypted with key {sealed}, but the key file holds key {ours}: restore that key file, or set the secret again"
    )]
    OtherKey {
        /// Where it belongs.
        place: String,
        /// The id of the key that it was sealed with.
        sealed: String,
        /// The id of the vault's key; of each, where it has several.
        ours: String,
    },
    /// It was changed, or belongs somewhere else.
    #[error("the secret of {place} was changed or moved after it was encrypted: set it again")]
    Tampered {
        /// Where it should belong.
        place: String,
    },
}

/// Tells keys apart without telling anything about them: the beginning of a hash.
#[derive(Clone, Copy, PartialEq, Eq)]
struct KeyId([u8; 8]);

impl KeyId {
    fn of(key: &[u8; 32]) -> Self {
        let digest = Sha256::new().chain_update(b"alf key id\0").chain_update(key).finalize();
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A key, overwritten in memory when it is dropped.
struct Key {
    bytes: Zeroizing<[u8; 32]>,
    id: KeyId,
}

impl Key {
    fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { id: KeyId::of(&bytes), bytes }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.bytes).into())
    }
}

/// The first one seals, any of them opens.
#[derive(Clone)]
struct Keys {
    first: Arc<Key>,
    older: Vec<Arc<Key>>,
}

impl Keys {
    fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        std::iter::once(&self.first).chain(&self.older)
    }

    fn are(&self, other: &Self) -> bool {
        self.all().map(|key| key.id).eq(other.all().map(|key| key.id))
    }
}

/// Encrypts and decrypts secrets. Its keys are overwritten in memory when the vault is dropped, and shown nowhere.
pub struct Vault {
    file: PathBuf,
    keys: RwLock<Keys>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// Opens the vault with the key in this file, which is made, with a new key, if it is not there.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let keys = key_file::open(path)?;
        Ok(Self { file: path.to_owned(), keys: RwLock::new(keys) })
    }

    /// The file its key is in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Encrypts a secret for its place, such as `credential/web`.
    #[expect(clippy::expect_used, reason = "encryption only fails beyond 256 GiB, which no secret has")]
    pub fn seal(&self, place: &str, clear: &[u8]) -> Vec<u8> {
        let key = self.keys().first;
        let nonce: [u8; 24] = rand::random();
        let payload = Payload { msg: clear, aad: place.as_bytes() };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload).expect("a secret is shorter than 256 GiB");
        [FORM, &key.id.0, &nonce, &sealed].concat()
    }

    /// Decrypts a secret that was sealed for this place.
    pub fn unseal(&self, place: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let parts = sealed.strip_prefix(FORM).and_then(|rest| {
            let (id, rest) = rest.split_first_chunk::<8>()?;
            let (nonce, rest) = rest.split_first_chunk::<24>()?;
            Some((KeyId(*id), nonce, rest))
        });
        let Some((id, nonce, msg)) = parts else {
            return Err(VaultError::NotSealed { place: place.to_owned() });
        };
        let keys = self.keys();
        let Some(key) = keys.all().find(|key| key.id == id) else {
            let ours: Vec<String> = keys.all().map(|key| key.id.to_string()).collect();
            let (sealed, ours) = (id.to_string(), ours.join(" and "));
            return Err(VaultError::OtherKey { place: place.to_owned(), sealed, ours });
        };
        let clear = key.cipher().decrypt(&XNonce::from(*nonce), Payload { msg, aad: place.as_bytes() });
        clear.map(Zeroizing::new).map_err(|_| VaultError::Tampered { place: place.to_owned() })
    }

    fn keys(&self) -> Keys {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_keys(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn vault() -> (tempfile::TempDir, PathBuf, Vault) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let vault = Vault::open(&path).unwrap();
        (directory, path, vault)
    }

    #[test]
    fn a_key_file_is_made_once_for_the_owner_only() {
        let (directory, path, vault) = vault();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((text.len(), text.lines().count()), (45, 1), "one line of base64");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left there");
        let sealed = vault.seal("credential/web", b"hunter2");
        let again = Vault::open(&path).unwrap();
        assert_eq!(**again.unseal("credential/web", &sealed).unwrap(), *b"hunter2");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_secret_comes_back_and_is_not_seen() {
        let (_directory, path, vault) = vault();
        let key = fs::read_to_string(&path).unwrap();
        for clear in [b"".to_vec(), b"hunter2".to_vec(), (0..=255).collect(), vec![7; 1 << 20]] {
            let sealed = vault.seal("credential/web", &clear);
            assert!(sealed.starts_with(b"enc:v1:"));
            assert!(clear.len() < 4 || !sealed.windows(clear.len()).any(|window| window == clear));
            assert_ne!(sealed, vault.seal("credential/web", &clear), "each time another nonce");
            assert_eq!(*vault.unseal("credential/web", &sealed).unwrap(), clear);
        }
        let shown = format!("{vault:?}");
        assert_eq!(shown, "Vault(…)");
        assert!(!shown.contains(key.trim()));
    }

    #[test]
    fn what_was_changed_or_moved_is_refused() {
        let (_directory, _path, vault) = vault();
        let place = "credential/web";
        let sealed = vault.seal(place, b"hunter2");
        assert_eq!(
            vault.unseal("credential/db", &sealed),
            Err(VaultError::Tampered { place: "credential/db".to_owned() })
        );
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(vault.unseal(place, &changed).is_err(), "byte {i}");
            assert!(vault.unseal(place, &sealed[..i]).is_err(), "the first {i} bytes");
        }
        assert_eq!(vault.unseal(place, b"hunter2"), Err(VaultError::NotSealed { place: place.to_owned() }));
        let longer = [sealed.as_slice(), b"x"].concat();
        assert_eq!(vault.unseal(place, &longer), Err(VaultError::Tampered { place: place.to_owned() }));
    }

    #[test]
    fn a_secret_of_another_key_says_so() {
        let (_one, _, ours) = vault();
        let (_two, _, theirs) = vault();
        let error = ours.unseal("credential/web", &theirs.seal("credential/web", b"x")).unwrap_err();
        assert_eq!(
            error,
            VaultError::OtherKey {
                place: "credential/web".to_owned(),
                sealed: theirs.keys().first.id.to_string(),
                ours: ours.keys().first.id.to_string()
            }
        );
        assert!(error.to_string().contains("restore that key file"), "{error}");
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let (_directory, path, _) = vault();
        for mode in [0o604, 0o602, 0o620, 0o644, 0o666, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = Vault::open(&path).unwrap_err();
            assert_eq!(error, VaultError::Exposed { path: path.clone(), mode });
            assert!(error.to_string().ends_with(&format!("run chmod 600 {}", path.display())), "{error}");
        }
        for mode in [0o400, 0o600, 0o640, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(Vault::open(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_left_alone() {
        let (_directory, path, _) = vault();
        let good = fs::read_to_string(&path).unwrap();
        let short = STANDARD.encode([1; 31]);
        let long = STANDARD.encode([1; 33]);
        let two = format!("{}{good}", good.trim());
        let half = format!("{good}{}", &good[..43]);
        let endless = "A".repeat(100_000);
        for bad in ["", "\n", "hunter2", &good[..43], &short, &long, &two, &half, &endless, "ä"] {
            fs::write(&path, bad).unwrap();
            let error = Vault::open(&path).unwrap_err();
            assert_eq!(error, VaultError::Malformed { path: path.clone() }, "{bad:.50}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        for good in [good.trim(), &format!(" {good}\r\n")] {
            fs::write(&path, good).unwrap();
            assert!(Vault::open(&path).is_ok());
        }
    }

    #[test]
    fn a_place_where_no_file_can_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        for (path, cause) in [
            (directory.path().join("not-there/secret.key"), "its directory is not there"),
            (directory.path().to_owned(), "it is a directory"),
        ] {
            let error = Vault::open(&path).unwrap_err().to_string();
            assert!(error.contains(cause) && error.contains(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn of_many_who_make_the_key_at_once_all_get_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let open = || Vault::open(&path).unwrap();
        let vaults: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let sealed = vaults[0].seal("x", b"y");
        for vault in &vaults {
            assert_eq!(**vault.unseal("x", &sealed).unwrap(), *b"y");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left there");
    }
}
