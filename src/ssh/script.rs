//! Runs a text by an interpreter of the host: sent without a file where that is possible.
//!
//! The text stands as a here-document in the header and is read by the interpreter as `/dev/fd/3`. Shells write a
//! here-document that is larger than a pipe from a process of its own, or put it into a file that has no name any
//! more; both are read as the interpreter likes, and neither is seen in `ps`.

use super::remote::{Launch, check, quote, token, words};

/// Bytes of a script: the remote shell holds it in memory, more than once.
const LONGEST: usize = 8 << 20;

/// Interpreters, without their versions, that read a program from a pipe. Others (node, java, tcsh, …) want to know a
/// file's real name, look at it twice, or read it from its end.
const FROM_A_PIPE: [&str; 12] =
    ["sh", "bash", "dash", "ash", "ksh", "mksh", "zsh", "fish", "busybox", "python", "perl", "awk"];

/// Puts the script into a file if it must be one; `mktemp` makes it for its owner alone.
const INTO_FILE: &str = r#"alf_f=
if @MUST@; then
  alf_f=$(mktemp "${TMPDIR:-/tmp}/alf-"@RUN@.XXXXXX) || no file
  trap 'PATH=$PATH:/usr/bin:/bin; rm -f "$alf_f"' EXIT
  cat <&3 >"$alf_f" && chmod 0700 "$alf_f" || no file
  exec 3<&-
fi
"#;

/// Runs its arguments and removes the file `$0` afterwards. The trap keeps it alive until then when everything gets
/// TERM; what is left after KILL is removed by the search for processes. It sets no variable that the script may see.
const WITH_FILE: &str =
    r#"trap : HUP INT TERM; "$@"; set -- $?; PATH=$PATH:/usr/bin:/bin; IFS=; rm -f "$0"; exit "$1""#;

/// The shell text that starts a script. The error says why that cannot be.
pub(super) fn launch(run: &str, interpreter: &[String], body: &str, args: &[String]) -> Result<Launch, String> {
    for word in interpreter {
        check("the interpreter", word)?;
    }
    let Some(name) = interpreter.first().filter(|name| !name.is_empty()) else {
        return Err("the script has no interpreter".to_owned());
    };
    if name.starts_with('-') {
        return Err(format!("the interpreter \"{}\" begins with -, as no command does", name.escape_debug()));
    }
    if body.contains('\0') {
        return Err("the script holds a NUL byte, which no shell can take".to_owned());
    }
    if body.len() > LONGEST {
        return Err(format!("the script is {} bytes long; at most {LONGEST} can be sent", body.len()));
    }
    let end = token();
    let newline = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    // Without /proc there is no /dev/fd.
    let must = if takes_a_pipe(interpreter, body) { "[ ! -e /dev/fd/3 ]" } else { ":" };
    let into_file = INTO_FILE.replace("@MUST@", must).replace("@RUN@", &quote(run));
    let (with_file, command, args) = (quote(WITH_FILE), words(interpreter), words(args));
    let by_env = sought_by_env(interpreter).map(is_there).unwrap_or_default();
    Ok(Launch {
        prepare: format!("exec 3<<'{end}'\n{body}{newline}{end}\n{into_file}"),
        check: format!("{}{by_env}", is_there(name)),
        // Some shells keep files that they have opened to themselves, unless they are named once more.
        start: format!(
            "set --{args}\n[ -n \"$alf_f\" ] || exec{command} /dev/fd/3 \"$@\" 3<&3\n\
             exec /bin/sh -c {with_file} \"$alf_f\"{command} \"$alf_f\" \"$@\"\n"
        ),
    })
}

/// Refuses unless a command is there.
fn is_there(name: &str) -> String {
    let name = quote(name);
    if name.contains('/') {
        format!("[ -f {name} ] && [ -x {name} ] || no interpreter\n")
    } else {
        format!("command -v {name} >/dev/null 2>&1 || no interpreter\n")
    }
}

/// The interpreter that `env` is to look for.
fn sought_by_env(interpreter: &[String]) -> Option<&str> {
    let [env, name, ..] = interpreter else { return None };
    (base(env) == "env" && !name.starts_with('-') && !name.contains('=')).then_some(name)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn takes_a_pipe(interpreter: &[String], body: &str) -> bool {
    let name = sought_by_env(interpreter).or(interpreter.first().map(String::as_str)).map_or("", base);
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    // Python reads a text in another encoding than UTF-8 twice (PEP 263 says where it is named).
    let read_twice = name == "python"
        && body.lines().take(2).any(|line| line.contains("coding") && !line.to_ascii_lowercase().contains("utf"));
    FROM_A_PIPE.contains(&name) && !read_twice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn what_reads_from_a_pipe_gets_no_file() {
        let cases: [(&[&str], &str, bool); 12] = [
            (&["/bin/sh"], "", true),
            (&["python3", "-u"], "", true),
            (&["/usr/bin/python3.11"], "", true),
            (&["/usr/bin/env", "perl", "-w"], "", true),
            (&["busybox", "sh"], "", true),
            (&["awk", "-f"], "", true),
            (&["node"], "", false),
            (&["/usr/bin/env", "node"], "", false),
            (&["/usr/bin/env", "-S", "python3 -u"], "", false),
            (&["nice", "sh"], "", false),
            (&["python3"], "#!/x\n# -*- coding: latin-1 -*-\n", false),
            (&["python3"], "#!/x\n# -*- coding: UTF-8 -*-\n", true),
        ];
        for (interpreter, body, wanted) in cases {
            assert_eq!(takes_a_pipe(&list(interpreter), body), wanted, "{interpreter:?}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (interpreter, body) in [(&[][..], ""), (&[""], ""), (&["-sh"], ""), (&["sh"], "a\0b")] {
            assert!(launch("run", &list(interpreter), body, &[]).is_err(), "{interpreter:?}");
        }
        assert!(launch("run", &list(&["sh"]), &"x".repeat(LONGEST + 1), &[]).is_err());
    }
}
