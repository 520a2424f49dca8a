//! Host keys by hand: trusted, forgotten, and what becomes of the connection and of runs that wait for it.

use super::support::{Alf, UNSCHEDULED, name, seconds, verdict};
use crate::actors::error::AlfError;
use crate::model::{HostState, Noun, Outcome, PublicKey, Reason};
use crate::ssh::doctor::{Check, Expected, Finding};
use crate::ssh::fake::{FakeConnect, FakeExec};

fn key(text: &str) -> PublicKey {
    PublicKey::from_blob(format!("\0\0\0\x0bssh-ed25519{text}").as_bytes()).unwrap()
}

fn said(error: Option<AlfError>) -> String {
    let Some(AlfError::HostKey(said)) = error else { panic!("{error:?}") };
    said
}

#[actix_rt::test]
async fn a_host_that_is_down_by_its_key_is_up_at_once_when_it_is_trusted() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key("old")));
    assert_eq!(alf.run_to_end("web1", "check").await.outcome, Outcome::Ok);
    // Installed anew: it shows another key, and is refused as often as it is tried.
    alf.hosts().on_key("web1", Ok(key("new")));
    for _ in 0..8 {
        alf.hosts().on_connect("web1", FakeConnect::host_key("the key has changed"));
    }
    alf.hosts().cut("web1", "rebooted");
    alf.settle().await;
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().connects("web1") == 7).await;
    let status = alf.handle.host_status(&name("web1")).unwrap();
    assert_eq!((status.state, status.reason), (Some(HostState::Down), Some(Reason::HostKey)));

    let view = alf.handle.host_key(&name("web1")).await.unwrap();
    assert_eq!((view.standing, view.offered.fingerprint), ("changed", key("new").fingerprint()));
    let recorded: Vec<_> = view.recorded.iter().map(|key| (key.fingerprint.clone(), key.source.as_str())).collect();
    assert_eq!(recorded, [(key("old").fingerprint(), "learned")]);
    let refused = said(alf.handle.trust_host(&name("web1"), Some(key("third").fingerprint())).await.err());
    for shown in ["new", "old", "third"] {
        assert!(refused.contains(&key(shown).fingerprint()), "{refused}");
    }
    assert_eq!(alf.store().host_key("web1").unwrap().keys, [key("old")], "nothing was changed");

    // However often it failed: the next try would be half a minute away.
    alf.until(|alf| alf.hosts().connects("web1") == 9).await;
    let asked = alf.now();
    let trusted = alf.handle.trust_host(&name("web1"), Some(key("new").fingerprint())).await.unwrap();
    assert_eq!((trusted.key, trusted.replaced), (key("new"), vec![key("old").fingerprint()]));
    let result = alf.handle.wait(run, seconds(3600)).await.unwrap().unwrap();
    assert_eq!(verdict(&result).0, Outcome::Ok, "the run that waited went through: {result:?}");
    assert!((alf.now() - asked).num_milliseconds() < 500, "at once, not after the backoff");
    assert_eq!(alf.hosts().targets("web1").last().unwrap().keys, [key("new")]);
    let alf = alf.end().await.start().await;
    assert_eq!(alf.handle.host_key(&name("web1")).await.unwrap().standing, "recorded", "also after a restart");
    alf.end().await;
}

#[actix_rt::test]
async fn a_forgotten_key_leaves_the_next_connect_to_judge_anew() {
    let alf = Alf::with(UNSCHEDULED).await;
    alf.hosts().on_connect("web1", FakeConnect::learns(key("old")));
    alf.run_to_end("web1", "check").await;
    assert!(alf.store().host_key("web1").is_some());
    alf.hosts().on_exec("web1", FakeExec::exit(0).after(seconds(60)));
    let run = alf.run("web1", "check").await.unwrap();
    alf.until(|alf| alf.hosts().running("web1") == 1).await;
    alf.handle.forget_host_key(&name("web1")).await.unwrap();
    assert!(alf.store().host_key("web1").is_none());
    assert_eq!(alf.handle.wait(run, seconds(3600)).await.unwrap().unwrap().outcome, Outcome::Ok, "left to end");
    alf.settle().await;
    assert_eq!(alf.hosts().open("web1"), 0, "the connection is not used again");
    alf.hosts().on_connect("web1", FakeConnect::learns(key("new")));
    assert_eq!(alf.run_to_end("web1", "check").await.outcome, Outcome::Ok);
    assert_eq!(alf.hosts().targets("web1").last().unwrap().keys, []);
    assert_eq!(alf.store().host_key("web1").unwrap().keys, [key("new")]);
    alf.end().await;
}

#[actix_rt::test]
async fn a_definition_that_names_other_keys_is_to_be_changed_itself() {
    let alf =
        Alf::with(&format!(r#"{{"hosts": [{{"name": "web1", "host_key": {{"keys": ["{}"]}}}}]}}"#, key("given"))).await;
    alf.hosts().on_key("web1", Ok(key("other")));
    let refused = said(alf.handle.trust_host(&name("web1"), None).await.err());
    assert!(refused.contains("names other keys") && refused.contains(&key("given").fingerprint()), "{refused}");
    assert!(alf.store().host_key("web1").is_none());
    alf.hosts().on_key("web1", Ok(key("given")));
    assert!(alf.handle.trust_host(&name("web1"), None).await.is_ok());
    let Some(crate::model::AnyDefinition::Host(host)) = alf.get(Noun::Host, "web1") else { panic!() };
    assert_eq!((host.meta.version, host.keys.as_slice()), (1, &[key("given")][..]));
    let silent = crate::ssh::ConnectError::Unreachable { detail: "web1 refused the connection".to_owned() };
    alf.hosts().on_key("web1", Err(silent));
    let refused = alf.handle.trust_host(&name("web1"), None).await;
    assert_eq!(refused.err(), Some(AlfError::Unavailable("web1 refused the connection".to_owned())));
    assert!(matches!(alf.handle.host_key(&name("web2")).await, Err(AlfError::NotFound(_))));
    alf.end().await;
}

#[actix_rt::test]
async fn a_host_is_looked_over_beside_its_connection() {
    let alf = Alf::with(r#"{"hosts": [{"name": "web1", "max_sessions": 7}]}"#).await;
    let findings = vec![Finding::fine(Check::Resolve, "it is 192.0.2.1")];
    alf.hosts().on_examine("web1", findings.clone());
    assert_eq!(alf.handle.examine(&name("web1")).await, Ok(findings));
    assert_eq!(alf.hosts().examined("web1"), [Expected { max_sessions: 7, ..Expected::default() }]);
    assert_eq!(alf.hosts().connects("web1"), 0);
    alf.end().await;
}
