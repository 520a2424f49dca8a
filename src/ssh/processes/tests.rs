use std::process::{Command, Stdio};

use super::super::remote::token;
use super::*;

const TOKEN: &str = "0123456789abcdef";

#[test]
fn a_verdict_is_read_behind_noise() {
    let cases: [(&str, Option<Verdict>); 6] = [
        ("0123456789abcdef gone 3\n", Some(Verdict::Gone(3))),
        ("hello\nx0123456789abcdef left 2 17 18\n", Some(Verdict::Left(2, vec![17, 18]))),
        ("0123456789abcdef unknown 0\n", Some(Verdict::Unknown)),
        ("0123456789abcdef maybe 0\n", None),
        ("gone 3\n", None),
        ("", None),
    ];
    for (output, wanted) in cases {
        assert_eq!(read_verdict(output.as_bytes(), TOKEN), wanted, "{output}");
    }
}

/// Runs the kill script by one of the shells it is made for.
fn killed_by(shell: &[&str], run: &str, grace: Duration) -> Verdict {
    let search = Search { run, leader: None, by_sudo: false, only_unended: false, grace };
    let script = script(search, TOKEN);
    let out = Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{shell:?}");
    read_verdict(&out.stdout, TOKEN).unwrap_or_else(|| panic!("{shell:?}: {out:?}"))
}

#[test]
fn the_kill_script_ends_a_whole_tree_in_every_shell_there_is() {
    let shells: [&[&str]; 5] = [&["/bin/sh"], &["dash"], &["bash"], &["busybox", "sh"], &["mksh"]];
    for shell in shells.iter().filter(|shell| Command::new(shell[0]).arg("-c").arg("").output().is_ok()) {
        let run = token();
        // One child keeps the marker, one has a session of its own, one has lost the marker, one ignores TERM.
        let tree =
            "sleep 300 & setsid sleep 300 & env -i sleep 300 & (trap '' TERM; sleep 300; sleep 300) & echo up; wait";
        let mut child = Command::new("setsid")
            .args(["/bin/sh", "-c", tree])
            .env("ALF_RUN_ID", &run)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let verdict = killed_by(shell, &run, Duration::from_millis(300));
        child.wait().unwrap();
        assert!(matches!(verdict, Verdict::Gone(count) if count >= 5), "{shell:?}: {verdict:?}");
        let left = Command::new("grep").args(["-lsz", &run]).args(environs()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{shell:?}");
    }
}

#[test]
fn the_kill_script_harms_nobody_when_nothing_is_there() {
    assert_eq!(killed_by(&["/bin/sh"], &token(), Duration::ZERO), Verdict::Gone(0));
}

fn environs() -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().chars().all(|c| c.is_ascii_digit()))
        .map(|entry| format!("{}/environ", entry.path().display()))
        .collect()
}
