//! New API keys.

use crate::model::SecretText;

/// What a key is made of.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A new random key, `alf_` and 43 characters: 256 random bits, easy to find for who scans for leaked secrets.
pub(crate) fn new_key() -> SecretText {
    let mut key = String::with_capacity(47);
    key.push_str("alf_");
    // 62 does not divide 256: bytes from 248 on would make some characters likelier than others.
    let random = std::iter::repeat_with(rand::random::<u8>).filter(|byte| *byte < 248);
    key.extend(random.take(43).map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
    SecretText::new(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, other) = (new_key(), new_key());
        assert_eq!(one.reveal().len(), 47);
        assert!(one.reveal().starts_with("alf_"));
        assert_ne!(one.reveal(), other.reveal());
    }
}
