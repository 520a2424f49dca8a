//! Arguments, directories, scripts and waiting for a session, over a connection to a real sshd.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use alf::ssh::{End, Ending, Exec, Session, Work};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::ssh_kill::until_marked;
use crate::support::ssh::{connect, exec, stdout};
use crate::support::sshd::{Options, Sshd};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

pub(crate) fn script(interpreter: &[&str], body: &str, args: &[&str]) -> Exec {
    let interpreter = list(interpreter);
    Exec { work: Work::Script { interpreter, body: body.to_owned() }, args: list(args), ..exec("") }
}

pub(crate) fn list(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Characters whose UTF-8 has every byte that UTF-8 can have, but for those of the rarest planes.
pub(crate) fn all_characters() -> String {
    (1..=0xffu8).map(char::from).chain("€😀\u{7ff}\u{ffff}\u{10ffff}".chars()).collect()
}

pub(crate) fn here(program: &str) -> bool {
    Command::new("/bin/sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success()
}

#[track_caller]
pub(crate) fn setup(ending: &Ending) -> &str {
    assert!(ending.started_at.is_none() && ending.kill.is_none() && ending.leader.is_none(), "{ending:?}");
    let End::Setup(detail) = &ending.end else { panic!("{ending:?}") };
    assert!(!detail.contains('\n'), "{detail}");
    detail
}

#[tokio::test]
async fn everything_arrives_exactly_whatever_the_login_shell_is() {
    let shells =
        ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/zsh", "/usr/bin/fish", "/bin/tcsh", "/bin/mksh", "/bin/busybox sh"];
    let there = shells.iter().filter(|shell| shell.split(' ').next().is_some_and(|path| Path::new(path).exists()));
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let text = all_characters();
    join_all(there.map(|shell| {
        let (bytes, text) = (bytes.clone(), text.clone());
        async move {
            let sshd = Sshd::start_with(&Options { login_shell: Some((*shell).to_owned()), ..Options::default() });
            let session = connect(&sshd).await.session;
            // A name has at most 255 bytes.
            let name: String = text.chars().filter(|c| *c != '/').take(170).collect();
            std::fs::create_dir(sshd.dir().join(&name)).unwrap();
            let show = "cat; printf '%s\\n' \"$V\" \"$1\" \"$2\" \"$#\" >&2; pwd >&2";
            let works = [
                Work::Command(show.to_owned()),
                Work::Script { interpreter: list(&["/bin/sh"]), body: show.to_owned() },
                Work::Script { interpreter: list(&["bash"]), body: format!("# {}\n{show}", "x".repeat(200_000)) },
            ];
            for work in works {
                let mut run = Exec { work, args: vec![text.clone(), String::new(), "-x".to_owned()], ..exec("") };
                run.env.push(("V".to_owned(), text.clone()));
                run.stdin = Some(bytes.clone().into());
                run.cwd = Some(name.clone());
                let ending = session.exec(run).await;
                assert_eq!(ending.end, End::Exited(0), "{shell}: {ending:?}");
                assert!(ending.stdout.bytes == bytes, "{shell}: stdin differs");
                let dir = sshd.dir().join(&name);
                let wanted = format!("{text}\n{text}\n\n3\n{}\n", dir.display());
                assert_eq!(String::from_utf8_lossy(&ending.stderr.bytes), wanted, "{shell}");
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn a_command_knows_its_arguments_and_its_own_name() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let mut run = exec("echo \"$0|$1|$2|$#\"");
    run.args = list(&["-n", "two words"]);
    assert_eq!(stdout(&session.exec(run).await), "sh|-n|two words|2\n");
    let alone = stdout(&session.exec(exec("echo \"$0|$#\"")).await).to_owned();
    let mut run = exec("echo \"$0|$#\"");
    run.stdin = Some("x".into());
    assert_eq!(stdout(&session.exec(run).await), alone, "the same by both ways");
}

#[tokio::test]
async fn a_directory_is_gone_to_whatever_it_is_called() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let home = sshd.dir().to_str().unwrap().to_owned();
    for name in ["-", "-P", "~", "a b", "$HOME", "tab\tand\nline"] {
        std::fs::create_dir(sshd.dir().join(name)).unwrap();
        for cwd in [name.to_owned(), format!("{home}/{name}")] {
            let mut run = exec("pwd");
            run.cwd = Some(cwd.clone());
            run.env.push(("CDPATH".to_owned(), "/".to_owned()));
            let ending = session.exec(run).await;
            assert_eq!(stdout(&ending), format!("{home}/{name}\n"), "{cwd:?}: {ending:?}");
        }
    }
    let mut run = exec("pwd; exit 1");
    run.cwd = Some("tmp".to_owned());
    let ending = session.exec(run).await;
    let detail = setup(&ending);
    assert!(detail.contains("\"tmp\"") && detail.contains(&format!("127.0.0.1:{}", sshd.port())), "{detail}");
    let mut run = exec("pwd");
    run.cwd = Some("client_key".to_owned());
    assert!(setup(&session.exec(run).await).contains("no directory"));
    let mut run = exec("pwd");
    run.cwd = Some(String::new());
    assert_eq!(stdout(&session.exec(run).await), format!("{home}\n"));
}

#[tokio::test]
async fn a_script_runs_by_its_interpreter_with_input_of_its_own() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let shell = "read -r line; echo \"$line|$1|$2\"; cat; exit 7";
    let python = "import sys\nline = input()\nprint(line + '|' + sys.argv[1] + '|' + sys.argv[2])\n\
                  print(sys.stdin.read(), end='')\nsys.exit(7)";
    let node = "const all = require('fs').readFileSync(0, 'utf8').split('\\n');\n\
                console.log(all[0] + '|' + process.argv[2] + '|' + process.argv[3]);\n\
                console.log(all[1]); process.exitCode = 7";
    let cases: [(&[&str], &str, &str); 11] = [
        (&["/bin/sh"], shell, ""),
        (&["sh"], shell, "# "),
        (&["dash"], shell, "# "),
        (&["bash", "-u"], shell, "# "),
        (&["busybox", "sh"], shell, "# "),
        (&["mksh"], shell, "# "),
        (&["/usr/bin/env", "bash"], shell, "# "),
        (&["python3", "-u"], python, "# "),
        (&["perl", "-w"], "$_ = <STDIN>; chomp; print \"$_|$ARGV[0]|$ARGV[1]\\n\", <STDIN>; exit 7", "# "),
        (&["node"], node, "// "),
        // An interpreter nobody knows gets a file.
        (&["env", "-u", "NOTHING", "sh"], shell, "# "),
    ];
    for (interpreter, body, comment) in cases.iter().filter(|case| here(case.0[0])) {
        for size in [0, 3_000, 1 << 20] {
            let filler = format!("{comment}{}\n", "x".repeat(76)).repeat(size / 80);
            if comment.is_empty() && size > 0 {
                continue;
            }
            let mut run = script(interpreter, &format!("{filler}{body}"), &["-a 'b'", "$c"]);
            run.stdin = Some("one\ntwo\n".into());
            let ending = timeout(LONG, session.exec(run)).await.unwrap();
            let what = format!("{interpreter:?}, {size} bytes: {ending:?}");
            assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(7), "one|-a 'b'|$c\ntwo\n"), "{what}");
        }
    }
    let run = script(&["sh"], "cat; printf '%s' \"it's $#\"", &[]);
    assert_eq!(stdout(&session.exec(run).await), "it's 0", "no newline at its end, and no input");
}

#[tokio::test]
async fn a_script_that_ends_early_or_leaves_a_child_ends_its_run() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let begun = Instant::now();
    let filler = format!("# {}\n", "x".repeat(77)).repeat(5000);
    let run = script(&["sh"], &format!("echo hi\nexit 3\n{filler}"), &[]);
    let ending = session.exec(run).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(3), "hi\n"));
    let run = script(&["sh"], &format!("sleep 20 & echo hi\nexit 4\n{filler}"), &[]);
    let ending = session.exec(run).await;
    assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(4), "hi\n"));
    let ending = session.exec(script(&["sh"], "kill -TERM $$", &[])).await;
    assert_eq!(ending.end, End::Signaled("TERM".to_owned()));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

/// Scripts of a test that are left in temporary files.
fn left_over(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("alf-")).collect()
}

#[tokio::test]
async fn a_script_that_needs_a_file_leaves_none() {
    let sshd = Sshd::start();
    let tmp = sshd.dir().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let config = vec![format!("SetEnv HOME={} TMPDIR={}", sshd.dir().display(), tmp.display())];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let session = connect(&sshd).await.session;
    let by_file = ["env", "-u", "NOTHING", "sh"];
    let ending = session.exec(script(&by_file, "ls -l \"$0\"; echo \"$TMPDIR\"", &[])).await;
    assert!(stdout(&ending).starts_with("-rwx------"), "{ending:?}");
    assert!(left_over(&tmp).is_empty());
    for body in ["sleep 300", "trap '' TERM; while :; do sleep 0.05; done"] {
        let mut run = script(&by_file, body, &[]);
        run.timeout = Some(Duration::from_millis(300));
        run.kill_grace = Duration::from_millis(300);
        let ending = session.exec(run).await;
        assert_eq!((ending.end, ending.kill.unwrap().gone), (End::TimedOut, Some(true)), "{body}");
        assert!(left_over(&tmp).is_empty(), "{body}");
    }
    let mut run = script(&["no-such-thing", "sh"], "true", &[]);
    run.stdin = Some("x".into());
    assert!(setup(&session.exec(run).await).contains("\"no-such-thing sh\" was not found"));
    assert!(left_over(&tmp).is_empty());
    std::fs::remove_dir(&tmp).unwrap();
    let ending = session.exec(script(&by_file, "true", &[])).await;
    let detail = setup(&ending);
    assert!(detail.contains("temporary file") && detail.contains("No such file"), "{detail}");
}

#[tokio::test]
async fn what_cannot_be_started_is_a_failed_setup() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    for interpreter in [&["no-such-interpreter"][..], &["/no/such/one"], &["/usr/bin/env", "no-such-one"], &["/etc"]] {
        let ending = session.exec(script(interpreter, "true", &[])).await;
        assert!(setup(&ending).contains(interpreter[interpreter.len() - 1]), "{ending:?}");
    }
    for run in [
        script(&[], "true", &[]),
        script(&["sh"], "a\0b", &[]),
        Exec { args: list(&["a\0b"]), ..exec("true") },
        Exec { args: vec!["x".repeat(100_000); 30], ..exec("true") },
        Exec { cwd: Some("a\0b".to_owned()), ..exec("true") },
    ] {
        setup(&session.exec(run).await);
    }
    // As many as go through.
    let run = Exec { args: vec!["x".repeat(100_000); 15], ..exec("echo \"$#\"") };
    assert_eq!(stdout(&session.exec(run).await), "15\n");
}

/// All that is in the argument lists and environments of this machine's processes but for one that may know it.
fn seen_by_ps(but: &str) -> String {
    let mut seen = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if !line.contains(but) {
            seen.push_str(&line);
            seen.push('\n');
        }
    }
    seen
}

#[tokio::test]
async fn neither_environment_nor_input_nor_script_is_seen_by_others() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let secrets: Vec<String> = (0..3).map(|_| uuid::Uuid::now_v7().to_string()).collect();
    let runs = (0..20).map(|number| {
        let interpreter: &[&str] = if number % 2 == 0 { &["sh"] } else { &["env", "-u", "X", "sh"] };
        let mut run = script(interpreter, &format!(": {}\nsleep 0.2; cat >/dev/null", secrets[0]), &[]);
        run.env.push(("SECRET".to_owned(), secrets[1].clone()));
        run.stdin = Some(secrets[2].clone().into());
        let session = Arc::clone(&session);
        tokio::spawn(async move { session.exec(run).await })
    });
    let mut all = tokio::spawn(join_all(runs.collect::<Vec<_>>()));
    let mut looks = 0;
    loop {
        let seen = tokio::task::spawn_blocking(|| seen_by_ps("no such thing")).await.unwrap();
        looks += 1;
        for secret in &secrets {
            assert!(!seen.contains(secret.as_str()), "{seen}");
        }
        if let Ok(endings) = timeout(Duration::from_millis(1), &mut all).await {
            for ending in endings.unwrap() {
                assert_eq!(ending.unwrap().end, End::Exited(0));
            }
            break;
        }
    }
    assert!(looks > 10);
}

#[tokio::test]
async fn a_run_that_finds_no_session_in_time_says_so() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(1), ..Options::default() });
    let session = connect(&sshd).await.session;
    let first = exec("sleep 300");
    let (id, stop) = (first.run.clone(), first.cancel.clone());
    let first = tokio::spawn(session.exec(first));
    until_marked(&id, |count| count > 0).await;
    for _ in 0..2 {
        let mut late = exec("true");
        late.start_by = Some(Instant::now() + Duration::from_millis(300));
        let begun = Instant::now();
        let ending = timeout(LONG, session.exec(late)).await.unwrap();
        let End::NoPlace(cause) = &ending.end else { panic!("{ending:?}") };
        assert!(cause.contains(&format!("127.0.0.1:{} had no session free", sshd.port())), "{cause}");
        assert!(ending.started_at.is_none());
        assert!(begun.elapsed() >= Duration::from_millis(300) && begun.elapsed() < Duration::from_secs(5));
    }
    stop.cancel();
    assert_eq!(timeout(LONG, first).await.unwrap().unwrap().kill.unwrap().gone, Some(true));
    // The place is free again: nothing that was given up still holds it.
    let mut next = exec("echo ok");
    next.start_by = Some(Instant::now() + LONG);
    assert_eq!(stdout(&session.exec(next).await), "ok\n");
}

#[tokio::test]
async fn a_host_that_hangs_holds_nobody_beyond_their_time() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    assert_eq!(session.exec(exec("true")).await.end, End::Exited(0));
    sshd.freeze();
    let mut run = exec("true");
    run.start_by = Some(Instant::now() + Duration::from_millis(300));
    let ending = timeout(Duration::from_secs(5), session.exec(run)).await.unwrap();
    assert!(matches!(ending.end, End::NoPlace(_)) && ending.started_at.is_none(), "{ending:?}");
    sshd.thaw();
    let session: Arc<dyn Session> = session;
    assert_eq!(stdout(&session.exec(exec("echo ok")).await), "ok\n");
}

/// This process's memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
#[ignore = "takes a minute and measures the memory of the whole process: run it alone, in a release build"]
async fn a_flood_on_both_streams_costs_little_memory_and_delays_nobody() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    assert_eq!(session.exec(exec("true")).await.end, End::Exited(0));
    let before = resident();
    let mut flood = exec("head -c 1073741824 /dev/zero & head -c 1073741824 /dev/zero >&2; wait");
    flood.timeout = Some(Duration::from_secs(600));
    let mut flood = tokio::spawn(session.exec(flood));
    let mut took = Vec::new();
    let ending = loop {
        let begun = Instant::now();
        assert_eq!(stdout(&session.exec(exec("echo ok")).await), "ok\n");
        took.push(begun.elapsed());
        if let Ok(ending) = timeout(Duration::from_millis(20), &mut flood).await {
            break ending.unwrap();
        }
    };
    took.sort();
    let (half, most) = (took[took.len() / 2], took[took.len() - 1]);
    let more = resident() - before;
    assert_eq!((ending.end, ending.stdout.total, ending.stderr.total), (End::Exited(0), 1 << 30, 1 << 30));
    assert!(more < 64 * 1024, "{more} KiB more");
    assert!(half < Duration::from_millis(100), "half of {} runs took {half:?}, one {most:?}", took.len());
}
