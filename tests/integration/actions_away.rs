//! Receivers that are away or hang: what is for them waits, on disk, and arrives; no run is later for it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::checked::Checked;
use crate::support::hooks::{Hooks, Reply};
use crate::support::receivers::{Carbon, Smtp, SmtpServer};
use crate::support::service::{Service, until, within};
use crate::support::sshd::Sshd;

/// What is tried again is tried after 5 s, 10 s, 20 s.
const RETRIES: Duration = Duration::from_secs(150);

/// The files of a spool.
fn spool(service: &Service, action: &str) -> Vec<PathBuf> {
    let dir = service.data_dir().join("spool").join(action);
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// How many values are in it.
fn spooled(service: &Service, action: &str) -> usize {
    let lines = |file: &PathBuf| std::fs::read_to_string(file).unwrap_or_default().lines().count();
    spool(service, action).iter().map(lines).sum()
}

fn graphs(service: &Service, address: &str) {
    let then = json!({"graphite": {"address": address, "prefix": "alf"}});
    service.send("POST", "actions", &json!({"name": "graphs", "then": then})).expect(201);
}

#[test]
fn what_receivers_did_not_take_arrives_after_stops_and_crashes() {
    let (Some(mut carbon), Some(mail)) = (Carbon::start(), SmtpServer::start(Smtp::Plain, None)) else { return };
    let hooks = Hooks::start();
    let mut settings = mail.settings().to_vec();
    settings.push(("ALF_ACTIONS__ALLOW_PRIVATE", "127.0.0.1".to_owned()));
    let mut checked = Checked::start(&settings);
    checked.service.send("POST", "contacts", &json!({"name": "anna", "email": "anna@example.org"})).expect(201);
    graphs(&checked.service, &carbon.plaintext());
    for action in [
        json!({"name": "mail", "then": {"email": {}}, "contacts": ["anna"]}),
        json!({"name": "hook", "then": {"webhook": {"url": hooks.url(), "timeout": "2s"}}}),
    ] {
        checked.service.send("POST", "actions", &action).expect(201);
    }

    carbon.stop();
    mail.freeze();
    hooks.always(Reply::Cut);
    let first = checked.check(2, "CRITICAL - bad | a=1");
    until("values on disk", || (spooled(&checked.service, "graphs") == 2).then_some(()));
    assert_eq!(checked.service.end("KILL"), None);
    checked.service.restart();
    let second = checked.check(2, "CRITICAL - bad | a=2");
    until("more values on disk", || (spooled(&checked.service, "graphs") == 4).then_some(()));
    assert_eq!(checked.service.end("TERM"), Some(0));
    checked.service.restart();
    let third = checked.check(2, "CRITICAL - bad | a=3");
    assert_eq!((mail.messages().len(), spooled(&checked.service, "graphs") >= 4), (0, true));

    carbon.restart();
    mail.thaw();
    hooks.recover();
    let values = within(RETRIES, "all values", || {
        Some(carbon.values("alf.web1.check.a")).filter(|values| values.len() == seconds(&[&first, &second, &third]))
    });
    assert_eq!(values.last().unwrap().1, 3.0, "{values:?}");
    let mails = within(RETRIES, "a mail", || Some(mail.mails()).filter(|mails| !mails.is_empty()));
    assert_eq!(mails[0].subject(), "PROBLEM web1/check is CRITICAL");
    assert!(mails[0].text.contains(first["id"].as_str().unwrap()), "{}", mails[0].text);
    let taken = || hooks.received().into_iter().filter(|one| one.answered).collect::<Vec<_>>();
    let taken = within(RETRIES, "a webhook", || Some(taken()).filter(|taken| !taken.is_empty()));
    assert_eq!(taken[0].json()["id"], first["id"]);

    // The end comes after them, and neither comes twice.
    checked.check(0, "OK - good | a=4");
    let mails = within(RETRIES, "the end by e-mail", || Some(mail.mails()).filter(|mails| mails.len() >= 2));
    within(RETRIES, "the end by webhook", || {
        hooks.received().iter().find(|one| one.answered && one.json()["state"] == "OK").map(drop)
    });
    assert_eq!(mails.len(), 2);
    let ids: Vec<String> =
        hooks.received().iter().map(|one| one.header("x-alf-delivery").unwrap().to_owned()).collect();
    let taken: Vec<&String> =
        hooks.received().iter().zip(&ids).filter(|(one, _)| one.answered).map(|(_, id)| id).collect();
    assert!(taken.len() == 2 && taken[0] != taken[1] && ids.iter().all(|id| taken.contains(&id)), "{ids:?}");
    until("an empty spool", || spool(&checked.service, "graphs").is_empty().then_some(()));
}

/// In how many different seconds these ended: Graphite keeps one value a second.
fn seconds(results: &[&Value]) -> usize {
    let mut seconds: Vec<&str> = results.iter().map(|result| &result["finished_at"].as_str().unwrap()[..19]).collect();
    seconds.dedup();
    seconds.len()
}

#[test]
fn what_waits_on_disk_is_bounded_and_the_newest_is_kept() {
    let Some(mut carbon) = Carbon::start() else { return };
    let limit = 65_536;
    let checked = Checked::start(&[("ALF_ACTIONS__SPOOL_LIMIT", limit.to_string())]);
    graphs(&checked.service, &carbon.pickle());
    let pickle = json!({"then": {"graphite": {"protocol": "pickle"}}});
    checked.service.send("PATCH", "actions/graphs", &pickle).expect(200);
    carbon.stop();
    let many = |value: u32| (0..400).map(|n| format!(" m{n}={value}")).collect::<String>();
    for value in 0..5 {
        checked.check(0, &format!("OK - measured |{}", many(value)));
    }
    let bytes = || spool(&checked.service, "graphs").iter().map(|file| size(file)).sum::<u64>();
    until("a full spool", || (bytes() > limit / 2).then_some(()));
    checked.check(0, &format!("OK - measured |{}", many(77)));
    carbon.restart();
    within(RETRIES, "the newest values", || {
        carbon.values("alf.web1.check.m399").iter().any(|(_, value)| *value == 77.0).then_some(())
    });
    assert!(bytes() <= limit, "{}", bytes());
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |metadata| metadata.len())
}

/// How late the newest runs of `tick` were, in milliseconds; sorted.
fn lateness(service: &Service, count: usize) -> Vec<u64> {
    let page = service.get(&format!("results?task=tick&limit={count}"));
    let mut all: Vec<u64> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["lateness_ms"].as_u64().unwrap_or(60_000))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn no_run_is_later_though_all_receivers_hang() {
    const COUNT: usize = 8;
    let hooks = Hooks::start();
    hooks.always(Reply::Hang);
    // Whoever connects here is never answered.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (silent, port) = (silent.local_addr().unwrap().to_string(), silent.local_addr().unwrap().port().to_string());
    let settings = [
        ("ALF_ACTIONS__ALLOW_PRIVATE", "127.0.0.0/8"),
        ("ALF_EMAIL__SERVER", "127.0.0.1"),
        ("ALF_EMAIL__PORT", &port),
        ("ALF_EMAIL__TLS", "none"),
        ("ALF_EMAIL__FROM", "alf@example.org"),
    ];
    let (sshd, mut service) = (Sshd::start(), Service::start_with(&settings));
    service.add_host(&sshd);
    let task = json!({"command": "echo 'WARNING | a=1'; exit 1", "plugin": "nagios", "flapping": false});
    service.add_task("tick", "web1", task, Some("* * * * * *"));
    let ran = |service: &Service| service.get("results?task=tick&limit=1")["total"].as_u64().unwrap();
    until("runs without Actions", || (ran(&service) > COUNT as u64).then_some(()));
    let without = lateness(&service, COUNT);

    let on = json!({"tasks": ["tick"], "on": "result"});
    for (name, then) in [
        ("hook", json!({"webhook": {"url": hooks.url()}})),
        ("mail", json!({"email": {"to": ["anna@example.org"]}})),
        ("graphite", json!({"graphite": {"address": silent}})),
        ("influx", json!({"influx": {"url": format!("http://{silent}"), "database": "alf"}})),
    ] {
        service.send("POST", "actions", &json!({"name": name, "when": on, "then": then})).expect(201);
    }
    let before = ran(&service);
    until("runs with Actions", || (ran(&service) > before + COUNT as u64).then_some(()));
    let with = lateness(&service, COUNT);
    assert!(hooks.received().len() > 1, "they are sent");
    // The machine has moods of its own.
    assert!(with[COUNT / 2] <= without[COUNT / 2] + 500, "without: {without:?}, with: {with:?}");
    assert_eq!(service.end("TERM"), Some(0), "and it ends in time: {}", service.log());
}
