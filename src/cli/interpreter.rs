//! What runs a script: what the command line says, else what the script's own first line says (`#!`, execve(2)).

use super::doc::Doc;

/// The words of the interpreter; none leaves it to the service, which takes `/bin/sh`.
pub(super) fn of(given: Option<&str>, body: &str) -> Option<Doc> {
    let own = || body.strip_prefix("#!").and_then(|rest| rest.lines().next());
    let words: Vec<Doc> = given.or_else(own)?.split_whitespace().map(Doc::from).collect();
    (given.is_some() || !words.is_empty()).then_some(Doc::List(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_the_script_s_first_line() {
        let words = |all: &[&str]| Some(Doc::List(all.iter().map(|word| Doc::from(*word)).collect()));
        assert_eq!(of(None, "#!/usr/bin/env python3\nprint()"), words(&["/usr/bin/env", "python3"]));
        assert_eq!(of(Some("bash -e"), "#!/bin/sh\n"), words(&["bash", "-e"]));
        assert_eq!(of(None, "echo #!/bin/x\n"), None);
        assert_eq!(of(None, "#!\n"), None);
    }
}
