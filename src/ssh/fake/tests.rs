use super::*;
use crate::model::{HostKeyPolicy, Name};
use crate::ssh::{KeyStanding, Login};

fn target() -> Target {
    Target {
        host: Name::parse("web1").unwrap(),
        address: "web1".to_owned(),
        port: 22,
        user: "deploy".to_owned(),
        login: Login::Agent,
        policy: HostKeyPolicy::AcceptNew,
        keys: Vec::new(),
        via: None,
        leads_on: false,
    }
}

fn exec(command: &str, timeout: Option<Duration>) -> Exec {
    Exec { timeout, kill_grace: Duration::ZERO, ..Exec::command("r1", command) }
}

#[tokio::test(start_paused = true)]
async fn the_script_is_followed_in_virtual_time() {
    let clock = Clock::starting_at(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let fake = FakeConnector::new(clock.clone());
    fake.on_connect("web1", FakeConnect::unreachable("down"));
    fake.on_exec("web1", FakeExec::exit(3).stdout("hi").after(Duration::from_secs(60)));
    fake.on_command("forever", FakeExec::hang());
    assert_eq!(fake.connect(target()).await.err(), Some(ConnectError::Unreachable { detail: "down".to_owned() }));
    let session = fake.connect(target()).await.unwrap().session;
    let before = clock.now();
    let ending = session.exec(exec("true", None)).await;
    assert_eq!((ending.end, ending.stdout.bytes), (End::Exited(3), b"hi".to_vec()));
    assert_eq!((ending.finished_at - before).num_seconds(), 60);
    let ending = session.exec(exec("forever", Some(Duration::from_secs(5)))).await;
    assert_eq!(ending.end, End::TimedOut);
    assert_eq!(ending.kill.unwrap().gone, Some(true));
    assert_eq!((fake.connects("web1"), fake.execs("web1").len(), fake.running("web1")), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_ends_what_runs() {
    let fake = FakeConnector::new(Clock::Wall);
    fake.always("web1", FakeExec::hang());
    let session = fake.connect(target()).await.unwrap().session;
    let run = tokio::spawn(session.exec(exec("x", None)));
    fake.until(|fake| fake.running("web1") == 1).await;
    fake.cut("web1", "pulled the plug");
    assert_eq!(run.await.unwrap().end, End::ConnectionLost("pulled the plug".to_owned()));
    assert_eq!(session.lost().await, "pulled the plug");
    assert_eq!((fake.open("web1"), fake.running("web1")), (0, 0));
}

#[tokio::test]
async fn a_host_shows_the_key_it_is_given_and_is_judged_by_the_target_s() {
    let fake = FakeConnector::new(Clock::Wall);
    let first = fake.offered_key(target()).await.unwrap();
    assert_eq!(first.standing, KeyStanding::Unknown);
    let pinned = Target { keys: vec![first.key.clone()], ..target() };
    assert_eq!(fake.offered_key(pinned.clone()).await.unwrap().standing, KeyStanding::Recorded);
    fake.on_key("web1", Ok(PublicKey::from_blob(b"\0\0\0\x0bssh-ed25519another").unwrap()));
    let KeyStanding::Changed { recorded, .. } = fake.offered_key(pinned).await.unwrap().standing else { panic!() };
    assert_eq!((recorded, fake.connects("web1")), (vec![first.key], 0));
    fake.on_key("web1", Err(ConnectError::Unreachable { detail: "down".to_owned() }));
    assert!(fake.offered_key(target()).await.is_err());
}
