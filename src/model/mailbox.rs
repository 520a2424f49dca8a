//! Where e-mail goes: `anna@example.org`, or with a name `Anna <anna@example.org>`.

use std::fmt;

use email_address::{EmailAddress, Options};

/// Longest, in bytes, with the name (RFC 5321 has 254 for the address).
const LONGEST: usize = 512;

/// An address of e-mail, with or without the name of whose it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox(EmailAddress);

impl Mailbox {
    /// An address, a name before it or none.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text, true, "an e-mail address such as anna@example.org or Anna <anna@example.org>")
    }

    /// An address by itself.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse_bare(text: &str) -> Result<Self, String> {
        Self::read(text, false, "an e-mail address such as anna@example.org")
    }

    fn read(text: &str, allow_display_text: bool, expected: &str) -> Result<Self, String> {
        // A line break would begin another header of the message.
        let legal = text.len() <= LONGEST && !text.chars().any(char::is_control);
        let options = Options { allow_display_text, ..Options::default() };
        let address = EmailAddress::parse_with_options(text, options).ok().filter(|_| legal);
        address.map(Self).ok_or_else(|| format!("must be {expected}"))
    }

    /// The address by itself.
    pub fn address(&self) -> &str {
        self.0.email()
    }

    /// The name of whose it is.
    pub fn name(&self) -> Option<&str> {
        Some(self.0.display_part().trim()).filter(|name| !name.is_empty())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name_before_it() {
        for (text, address, name) in [
            ("anna@example.org", "anna@example.org", None),
            ("root@localhost", "root@localhost", None),
            ("o'neil+alf@mail.example.org", "o'neil+alf@mail.example.org", None),
            ("Anna <anna@example.org>", "anna@example.org", Some("Anna")),
        ] {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!((mailbox.address(), mailbox.name(), mailbox.as_str()), (address, name, text));
            assert_eq!(Mailbox::parse_bare(text).is_ok(), name.is_none(), "{text}");
        }
        for bad in ["", "anna", "anna@", "@example.org", "a b@example.org", "a@b@c", "anna@example.org, x@example.org"]
        {
            assert!(Mailbox::parse(bad).is_err(), "{bad}");
        }
        assert!(Mailbox::parse("a@example.org\r\nBcc: x@example.org").is_err());
        assert!(Mailbox::parse("A\nBcc: x@example.org <a@example.org>").is_err());
    }
}
