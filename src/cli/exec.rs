//! `alf exec`: runs a command or a script that no task defines, on a host or on many.

use super::client::API;
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::interpreter;
use super::run::{Mode, Place, start};
use super::run_args::ExecArgs;
use super::session::Session;
use super::text::escaped;

use crate::model::Limit;

/// The largest script that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

pub(super) async fn run(args: ExecArgs, session: &mut Session) -> Result<Exit, CliError> {
    let mode = Mode::of(args.no_wait, args.timeout_wait);
    let (place, path) = match (args.host, args.selector) {
        (Some(host), None) => {
            let path = format!("{API}/hosts/{host}/exec");
            (Place::Host(host), path)
        }
        (None, Some(selector)) => (Place::All(selector), format!("{API}/exec")),
        _ => return Err(CliError::Usage("give HOST or -l SELECTOR".to_owned())),
    };
    let mut fields = args.given.fields(&mut session.stdin)?;
    match &args.script {
        Some(script) => {
            let body = std::fs::File::open(script)
                .and_then(|file| std::io::read_to_string(std::io::Read::take(file, LARGEST + 1)));
            let shown = escaped(&script.to_string_lossy());
            let body = body.map_err(|error| CliError::Failed(format!("{shown} cannot be read: {error}")))?;
            if body.len() as u64 > LARGEST {
                return Err(CliError::Failed(format!("{shown} is larger than {LARGEST} bytes")));
            }
            let interpreter = interpreter::of(args.interpreter.as_deref(), &body);
            fields.push(("script", Some(Doc::map([("interpreter", interpreter), ("body", Some(body.into()))]))));
            if !args.command.is_empty() {
                fields.push(("args", Some(Doc::List(args.command.into_iter().map(Doc::Text).collect()))));
            }
        }
        None => fields.push(("command", Some(command_of(&args.command)?.into()))),
    }
    fields.extend([
        ("cwd", args.cwd.map(Doc::from)),
        ("run_as", args.run_as.map(Doc::from)),
        (
            "timeout",
            args.timeout.map(|limit| match limit {
                Limit::None => "none".into(),
                Limit::After(span) => span.to_string().into(),
            }),
        ),
    ]);
    start(place, &path, fields, mode, args.group, session).await
}

/// One word is text for the shell; of several each is one word there too.
fn command_of(words: &[String]) -> Result<String, CliError> {
    match words {
        [] => Err(CliError::Usage("give a command after --, or --script FILE".to_owned())),
        [text] => Ok(text.clone()),
        words => Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")),
    }
}

/// A word as the POSIX shell reads it back (Shell Command Language, section 2.2.2).
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_shell_text_and_several_are_words() {
        let command = |words: &[&str]| command_of(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(command(&["echo $HOME | wc"]).unwrap(), "echo $HOME | wc");
        assert_eq!(command(&["echo", "a  b", "it's", "$HOME", ""]).unwrap(), r"echo 'a  b' 'it'\''s' '$HOME' ''");
        assert_eq!(command(&["ls", "-l", "/tmp/x.y"]).unwrap(), "ls -l /tmp/x.y");
        assert_eq!(command(&["A=1", "x"]).unwrap(), "'A=1' x", "a word, not an assignment");
        assert!(command(&[]).is_err());
    }
}
