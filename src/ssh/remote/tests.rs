use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const TOKEN: &str = "0123456789abcdef";

fn exec(command: &str, env: &[(&str, &str)], stdin: Option<&[u8]>) -> Exec {
    Exec {
        env: env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        stdin: stdin.map(Bytes::copy_from_slice),
        timeout: None,
        kill_grace: Duration::ZERO,
        ..Exec::command("0197-run", command)
    }
}

/// What comes out when a request with this standard input is carried out by `/bin/sh`.
fn carried_out(request: &str, stdin: &[u8]) -> (Vec<u8>, Option<i32>) {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", request]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = shell.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.stdout, out.status.code())
}

#[test]
fn a_plain_command_needs_no_header() {
    let delivery =
        deliver(&exec("df -h | grep \"$x\"", &[("ALF_HOST", "web1"), ("ALF_TASK", "disk")], None), TOKEN).unwrap();
    assert_eq!(
        delivery.request,
        "exec env 'ALF_HOST=web1' 'ALF_TASK=disk' 'ALF_RUN_ID=0197-run' /bin/sh -c 'df -h | grep \"$x\"'"
    );
    assert!(delivery.header.is_none());
}

#[test]
fn whatever_a_login_shell_might_change_or_show_travels_in_the_header() {
    let long = "x".repeat(5000);
    let cases = [
        exec("echo 'quoted'", &[], None),
        exec(r"echo a\b", &[], None),
        exec("echo hi!", &[], None),
        exec("echo a\necho b", &[], None),
        exec("echo ä", &[], None),
        exec("echo \t", &[], None),
        exec(&long, &[], None),
        exec("true", &[("ALF_TASK", "it's")], None),
        exec("true", &[("PASSWORD", "plain")], None),
        exec("true", &[], Some(b"")),
    ];
    for case in cases {
        let delivery = deliver(&case, TOKEN).unwrap();
        assert!(delivery.header.is_some(), "{case:?}");
        assert!(delivery.request.starts_with("/bin/sh -c 'eval \"$(head -c "), "{}", delivery.request);
        assert!(delivery.request.len() < 60);
    }
}

#[test]
fn a_header_brings_everything_exactly() {
    let value: String = (1..0x7f).map(char::from).chain("ä€😀".chars()).collect();
    let command = "printf '%s\\n' \"$V\" \"$ALF_RUN_ID\" \"it's\"; cat";
    let run = exec(command, &[("V", "old"), ("IFS", "1"), ("V", &value)], Some(b"in\0put"));
    let delivery = deliver(&run, TOKEN).unwrap();
    let mut stdin = delivery.header.unwrap().to_vec();
    stdin.extend_from_slice(GO);
    stdin.extend_from_slice(b"in\0put");
    let (out, code) = carried_out(&delivery.request, &stdin);
    let text = String::from_utf8_lossy(&out);
    let (ready, rest) = text.split_once('\n').unwrap();
    assert!(ready.starts_with(TOKEN), "{ready}");
    assert_eq!(rest, format!("{value}\n0197-run\nit's\nin\0put"));
    assert_eq!(code, Some(0));
}

#[test]
fn a_command_never_starts_without_the_word() {
    let delivery = deliver(&exec("echo started", &[], Some(b"")), TOKEN).unwrap();
    let header = delivery.header.unwrap();
    for stdin in [&header[..], &[&header[..], b"gone\n"].concat(), &header[..header.len() - 3], &header[..40]] {
        let (out, code) = carried_out(&delivery.request, stdin);
        assert!(!String::from_utf8_lossy(&out).contains("started"), "{:?}", String::from_utf8_lossy(stdin));
        assert_ne!(code, Some(0));
    }
}

#[test]
fn a_command_that_looks_like_an_option_is_none() {
    for (stdin, name) in [(None, "direct"), (Some(&b""[..]), "header")] {
        let delivery = deliver(&exec("-x 2>/dev/null || echo ran", &[], stdin), TOKEN).unwrap();
        let input = delivery.header.map(|header| [&header[..], GO].concat()).unwrap_or_default();
        let (out, _) = carried_out(&delivery.request, &input);
        assert!(String::from_utf8_lossy(&out).ends_with("ran\n"), "{name}");
    }
}

#[test]
fn what_no_host_can_take_is_said_at_once() {
    let long = "x".repeat(140_000);
    for (case, part) in [
        (exec("a\0b", &[], None), "NUL"),
        (exec(&long, &[], None), "140000 bytes"),
        (exec("true", &[("BIG", &long)], None), "BIG"),
        (exec("true", &[("A B", "")], None), "name"),
    ] {
        let detail = deliver(&case, TOKEN).unwrap_err();
        assert!(detail.contains(part), "{detail}");
    }
}
