//! Programs that Alf brings to a host, over a connection to a real sshd.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alf::ssh::{End, Exec, ProgramFile, ProgramSource, Work};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::ssh_exec::{list, setup};
use crate::support::ssh::{connect, exec, stdout};
use crate::support::sshd::{Options, Sshd};

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(60);

/// A program's bytes, and how often they were asked for.
pub(crate) struct Source {
    bytes: Result<Bytes, String>,
    asked: AtomicUsize,
}

impl ProgramSource for Source {
    fn bytes(&self) -> BoxFuture<'static, Result<Bytes, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(self.bytes.clone()))
    }
}

pub(crate) fn program(bytes: impl Into<Bytes>) -> (Arc<Source>, ProgramFile) {
    let bytes = bytes.into();
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let source = Arc::new(Source { bytes: Ok(bytes), asked: AtomicUsize::new(0) });
    (Arc::clone(&source), ProgramFile { sha256, source })
}

pub(crate) fn run(program: &ProgramFile, args: &[&str]) -> Exec {
    Exec { work: Work::Program(program.clone()), args: list(args), ..exec("") }
}

fn dir(sshd: &Sshd) -> PathBuf {
    sshd.dir().join(".cache/alf/programs")
}

fn names(sshd: &Sshd) -> Vec<String> {
    std::fs::read_dir(dir(sshd)).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_program_is_brought_once_and_runs_with_all_it_is_given() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let (source, program) = program("#!/bin/sh\nprintf '%s|' \"$V\" \"$@\"; pwd; cat; exit 5");
    for _ in 0..3 {
        let mut run = run(&program, &["-a", "it's"]);
        run.env.push(("V".to_owned(), "v w".to_owned()));
        run.env.push(("HOME".to_owned(), "/nowhere".to_owned()));
        run.stdin = Some("in\0put".into());
        run.cwd = Some("/".to_owned());
        let ending = session.exec(run).await;
        assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(5), "v w|-a|it's|/\nin\0put"), "{ending:?}");
    }
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    assert_eq!(names(&sshd), [program.sha256.as_str()]);
    let mode = std::fs::metadata(dir(&sshd).join(&program.sha256)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mode = std::fs::metadata(dir(&sshd)).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

#[tokio::test]
async fn a_program_that_was_changed_on_the_host_does_not_run() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let (source, program) = program("#!/bin/sh\necho mine");
    assert_eq!(stdout(&session.exec(run(&program, &[])).await), "mine\n");
    std::fs::write(dir(&sshd).join(&program.sha256), "#!/bin/sh\necho theirs").unwrap();
    assert_eq!(stdout(&session.exec(run(&program, &[])).await), "mine\n");
    assert_eq!(source.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn runs_that_need_the_same_program_at_once_all_get_it() {
    let sshd = Sshd::start_with(&Options { max_sessions: Some(4), ..Options::default() });
    let sessions = [connect(&sshd).await.session, connect(&sshd).await.session];
    let (_, program) = program(format!("#!/bin/sh\necho \"$1\"; exit 0\n{}", "x".repeat(3 << 20)));
    let runs = (0..12).map(|number| sessions[number % 2].exec(run(&program, &[&number.to_string()])));
    for (number, ending) in timeout(LONG, join_all(runs)).await.unwrap().into_iter().enumerate() {
        assert_eq!((ending.end.clone(), stdout(&ending)), (End::Exited(0), &*format!("{number}\n")), "{ending:?}");
    }
    assert_eq!(names(&sshd), [program.sha256.as_str()]);
}

#[tokio::test]
async fn a_large_program_arrives_whole() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let (_, program) = program([b"#!/bin/sh\nwc -c <\"$0\"; exit\n".to_vec(), vec![b'x'; 64 << 20]].concat());
    let ending = timeout(LONG, session.exec(run(&program, &[]))).await.unwrap();
    assert_eq!((ending.end.clone(), stdout(&ending).trim()), (End::Exited(0), "67108892"), "{ending:?}");
}

#[tokio::test]
async fn programs_that_nobody_used_for_a_month_go() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let programs: Vec<ProgramFile> = (0..3).map(|n| program(format!("#!/bin/sh\necho {n}")).1).collect();
    for program in &programs[..2] {
        session.exec(run(program, &[])).await;
        let file = std::fs::File::open(dir(&sshd).join(&program.sha256)).unwrap();
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(40 * 86_400);
        file.set_modified(long_ago).unwrap();
    }
    // Used again, so it stays.
    assert_eq!(stdout(&session.exec(run(&programs[1], &[])).await), "1\n");
    session.exec(run(&programs[2], &[])).await;
    let mut wanted = [programs[1].sha256.clone(), programs[2].sha256.clone()];
    let mut there = names(&sshd);
    wanted.sort();
    there.sort();
    assert_eq!(there, wanted);
}

#[tokio::test]
async fn a_program_that_cannot_be_brought_is_a_failed_setup() {
    let sshd = Sshd::start();
    let session = connect(&sshd).await.session;
    let (_, good) = program("#!/bin/sh\necho hi");
    let lost = Arc::new(Source { bytes: Err("it was deleted".to_owned()), asked: AtomicUsize::new(0) });
    let ending = session.exec(run(&ProgramFile { source: lost, ..good.clone() }, &[])).await;
    assert!(setup(&ending).contains("it was deleted"), "{ending:?}");
    let other = program("#!/bin/sh\necho other").0;
    let ending = session.exec(run(&ProgramFile { source: other, ..good.clone() }, &[])).await;
    assert!(setup(&ending).contains("did not arrive as it was sent"), "{ending:?}");
    assert!(names(&sshd).is_empty(), "nothing half-brought stays");
    setup(&session.exec(run(&ProgramFile { sha256: "../x".to_owned(), ..good.clone() }, &[])).await);
    // A file where the directory should be.
    std::fs::remove_dir_all(sshd.dir().join(".cache")).unwrap();
    std::fs::write(sshd.dir().join(".cache"), "").unwrap();
    let ending = session.exec(run(&good, &[])).await;
    let detail = setup(&ending);
    assert!(detail.contains("could not be put into the home directory") && detail.contains("mkdir"), "{detail}");
}
