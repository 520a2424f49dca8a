//! E-mail as its reader sees it.

use serde_json::Value;

/// A message that a server has taken.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Whom the server was told it is for.
    pub(crate) to: Vec<String>,
    /// Lines that were folded are one.
    headers: Vec<(String, String)>,
    /// Its text, decoded; line ends as `\n`.
    pub(crate) text: String,
}

impl Mail {
    /// Reads what the server has written down.
    pub(crate) fn of(message: &Value) -> Self {
        let content = message["content"].as_str().unwrap();
        let (head, body) = content.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = head.split("\r\n").map(|line| line.split_once(": ").unwrap_or((line, "")));
        let to = message["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap().to_owned());
        let mail = Self {
            to: to.collect(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            text: String::new(),
        };
        let quoted = mail.header("Content-Transfer-Encoding") == Some("quoted-printable");
        let text = if quoted { unquoted(body) } else { body.to_owned() };
        Self { text: text.replace("\r\n", "\n"), ..mail }
    }

    /// The value of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The names of all headers.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[track_caller]
    pub(crate) fn subject(&self) -> &str {
        self.header("Subject").unwrap()
    }
}

/// Quoted-printable (RFC 2045), decoded.
fn unquoted(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&after[..2]).unwrap(), 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}
