//! Another key in place of the present one, such that what is sealed can be opened at every moment, also after a crash:
//! the file gets the new key beside the old one ([`Vault::begin_rotation`]), all is sealed anew, and only then the
//! file loses the old one ([`Vault::end_rotation`]).

use std::sync::Arc;

use super::{Keys, Vault, VaultError, key_file};

impl Vault {
    /// Whether a rotation was begun and not ended: what is sealed with an older key can still be opened with the file.
    pub fn is_rotating(&self) -> bool {
        !self.keys().older.is_empty()
    }

    /// Makes a new key, which is in the file, in front of the present one, when this returns, and seals from now on.
    /// On an error nothing has changed. Blocks.
    pub fn begin_rotation(&self) -> Result<(), VaultError> {
        let present = self.the_files_own()?;
        let first = key_file::new_key().map_err(|error| key_file::file_error("replace", &self.file, &error))?;
        let keys = Keys { first: Arc::new(first), older: present.all().cloned().collect() };
        key_file::replace(&self.file, &keys)?;
        self.set_keys(keys);
        Ok(())
    }

    /// Throws away all keys but the first, in the file and in memory: nothing may be sealed with them any more. On an
    /// error they stay. Blocks.
    pub fn end_rotation(&self) -> Result<(), VaultError> {
        let keys = Keys { older: Vec::new(), ..self.the_files_own()? };
        key_file::replace(&self.file, &keys)?;
        self.set_keys(keys);
        Ok(())
    }

    /// The keys, if they are still those in the file: another file in its place is nothing to write over.
    fn the_files_own(&self) -> Result<Keys, VaultError> {
        let present = self.keys();
        if key_file::read(&self.file)?.are(&present) {
            Ok(present)
        } else {
            Err(VaultError::Exchanged { path: self.file.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;

    const PLACE: &str = "credential/web";

    fn vault() -> (tempfile::TempDir, PathBuf, Vault) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.key");
        let vault = Vault::open(&path).unwrap();
        (directory, path, vault)
    }

    fn opens(path: &std::path::Path, sealed: &[u8]) -> bool {
        Vault::open(path).unwrap().unseal(PLACE, sealed).is_ok_and(|clear| **clear == *b"hunter2")
    }

    #[test]
    fn at_every_step_the_file_opens_what_was_sealed_before_and_after() {
        let (directory, path, vault) = vault();
        let old_file = fs::read_to_string(&path).unwrap();
        let old = vault.seal(PLACE, b"hunter2");
        vault.begin_rotation().unwrap();
        let new = vault.seal(PLACE, b"hunter2");
        assert!(opens(&path, &old) && opens(&path, &new) && vault.is_rotating());
        let both = fs::read_to_string(&path).unwrap();
        assert_eq!(both.lines().count(), 2);
        assert_eq!(both.lines().nth(1), old_file.lines().next(), "the new one stands first");
        let restarted = Vault::open(&path).unwrap();
        assert!(restarted.is_rotating() && opens(&path, &restarted.seal(PLACE, b"hunter2")));
        vault.end_rotation().unwrap();
        assert!(opens(&path, &new) && !opens(&path, &old) && !vault.is_rotating());
        assert!(vault.unseal(PLACE, &old).is_err(), "the old key is not kept in memory either");
        assert_eq!(fs::read_to_string(&path).unwrap().lines().next(), both.lines().next());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left there");
        fs::write(&path, old_file).unwrap();
        assert!(!opens(&path, &new) && opens(&path, &old));
    }

    #[test]
    fn a_file_that_cannot_be_written_or_is_another_one_stays_as_it_is() {
        let (directory, path, vault) = vault();
        let sealed = vault.seal(PLACE, b"hunter2");
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        let error = vault.begin_rotation().unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("it is not there"), "{error}");
        fs::rename(&away, directory.path()).unwrap();
        // No name beside it is short enough for the file system, so nothing can be put in its place.
        let long = directory.path().join("k".repeat(250));
        fs::copy(&path, &long).unwrap();
        let elsewhere = Vault::open(&long).unwrap();
        assert!(matches!(elsewhere.begin_rotation(), Err(VaultError::File { verb: "replace", .. })));
        assert!(!elsewhere.is_rotating() && opens(&long, &sealed));

        fs::remove_file(&path).unwrap();
        Vault::open(&path).unwrap();
        let other = fs::read_to_string(&path).unwrap();
        assert_eq!(vault.begin_rotation(), Err(VaultError::Exchanged { path: path.clone() }));
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
        assert!(!vault.is_rotating() && vault.unseal(PLACE, &sealed).is_ok());
    }

    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let (directory, path, _) = vault();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let vault = Vault::open(&link).unwrap();
        vault.begin_rotation().unwrap();
        vault.end_rotation().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(opens(&path, &vault.seal(PLACE, b"hunter2")));
    }
}
