//! What whoever starts a run gives to it, in place of what its task says.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Env, Fault, Faults, Reference, TextValue};

/// Most bytes of all arguments: with the environment a kernel takes about twice as much for one program.
const MOST_ARGS: usize = 131_072;
/// Longest standard input, in bytes.
const LONGEST_STDIN: usize = 1024 * 1024;

/// Variables, arguments and standard input of one run. They may be secret: nothing here is shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Its variables; they win over those of host, task and link.
    pub env: Env,
    /// Its arguments; none given are those of the task.
    pub args: Option<Vec<String>>,
    /// What it reads from its standard input; none given is that of the task.
    pub stdin: Option<TextValue>,
    /// Variables that Alf itself gives to it; nobody else may set them.
    pub own: BTreeMap<String, String>,
}

/// What is given to a run, as a document.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GivenDocument {
    /// Variables; they win over those of host, task and link.
    pub env: Option<Env>,
    /// Arguments, in place of the task's.
    pub args: Option<Vec<String>>,
    /// Standard input, in place of the task's.
    pub stdin: Option<TextValue>,
}

impl GivenDocument {
    /// Its fields, as they stand in documents.
    pub const FIELDS: [&str; 3] = ["env", "args", "stdin"];
}

impl Given {
    /// Checks a document, finding all its faults.
    pub fn check(document: GivenDocument) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let args = document.args.iter().flatten();
        for (place, _) in args.clone().enumerate().filter(|(_, arg)| arg.contains('\0')) {
            faults.add(format!("/args/{place}"), "must not hold a NUL byte");
        }
        if args.map(|arg| arg.len() + 1).sum::<usize>() > MOST_ARGS {
            faults.add("/args", format!("holds more than {MOST_ARGS} bytes in all"));
        }
        let stdin = document.stdin.as_ref().and_then(TextValue::own);
        if stdin.is_some_and(|stdin| stdin.len() > LONGEST_STDIN) {
            faults.add("/stdin", format!("is longer than {LONGEST_STDIN} bytes"));
        }
        let GivenDocument { env, args, stdin } = document;
        faults.into_result(Some(Self { env: env.unwrap_or_default(), args, stdin, own: BTreeMap::new() }))
    }

    /// The secrets that it names, each with its pointer in a document.
    pub fn named(&self) -> Vec<(String, Reference)> {
        let stdin = self.stdin.as_ref().and_then(|stdin| stdin.reference("/stdin"));
        self.env.references().chain(stdin).collect()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Given, Vec<String>> {
        let document = serde_json::from_str(json).unwrap();
        Given::check(document).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
    }

    #[test]
    fn nul_and_too_much_are_refused_where_they_stand() {
        let given = check(r#"{"env": {"A": "x"}, "args": ["", "a b"], "stdin": "s"}"#).unwrap();
        assert_eq!((given.args.unwrap().len(), given.stdin.unwrap().own()), (2, Some("s")));
        assert_eq!(check(r#"{"args": ["a", "b\u0000"], "stdin": "\u0000"}"#).unwrap_err(), ["/args/1"]);
        let binary = check(r#"{"stdin": "a\u0000b"}"#).unwrap().stdin.unwrap();
        assert_eq!(binary.own(), Some("a\0b"), "whatever reads it may know what a NUL is");
        let long = format!(r#"{{"args": ["{}"]}}"#, "x".repeat(MOST_ARGS));
        assert_eq!(check(&long).unwrap_err(), ["/args"]);
    }

    #[test]
    fn secrets_are_named_where_they_stand() {
        let given = check(r#"{"env": {"A": "x", "B": {"secret": "b"}}, "stdin": {"secret": "s"}}"#).unwrap();
        let named: Vec<_> = given.named().into_iter().map(|(pointer, secret)| (pointer, secret.to_string())).collect();
        let expected = [("/env/B", "secret \"b\""), ("/stdin", "secret \"s\"")];
        assert_eq!(named, expected.map(|(pointer, secret)| (pointer.to_owned(), secret.to_owned())));
    }

    #[test]
    fn what_is_given_is_never_shown() {
        let given = check(r#"{"env": {"TOKEN": "hunter2"}, "stdin": "hunter2"}"#).unwrap();
        assert!(!format!("{given:?}").contains("hunter2"));
    }
}
