//! `config/examples/classic.yaml`, applied as it is but for addresses, and what it promises: checks, a repair, e-mail, graphs.

use std::path::Path;
use std::time::Duration;

use crate::support::disk::SmallDisk;
use crate::support::receivers::{Carbon, Smtp, SmtpServer};
use crate::support::service::{Service, within};
use crate::support::sshd::Sshd;

/// Checks are due every 10 s.
const LONG: Duration = Duration::from_secs(120);
const PLUGIN: &str = "/usr/lib/nagios/plugins/check_disk";

/// The file with what is here in the places of the example's.
fn example(hosts: &[Sshd; 3], disks: [&Path; 3], carbon: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples/classic.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let (key, _) = line.trim_start().split_once(": ").unwrap_or_default();
        lines.push(match key {
            "user" => format!("{indent}user: {}", hosts[0].user()),
            "key_file" => format!("{indent}key_file: {}", hosts[0].client_key().display()),
            "address" => format!("{indent}address: 127.0.0.1"),
            "port" => format!("{indent}port: {}", hosts[at].port()),
            "env" => {
                at += 1;
                format!("{indent}env: {{DISK: {}}}", disks[at - 1].display())
            }
            _ => line.replace("graphite.example.org:2003", carbon).replace("22:00", "00:00").replace("07:00", "24:00"),
        });
    }
    assert_eq!(at, 3, "three hosts in {text}");
    lines.join("\n")
}

#[test]
fn the_classic_set_up_works_from_its_file() {
    if !Path::new(PLUGIN).exists() {
        return crate::support::receivers::left_out("check_disk");
    }
    let dir = tempfile::tempdir().unwrap();
    let (full, fine) = (dir.path().join("full"), dir.path().join("fine"));
    let (Some(_full), Some(_fine)) = (SmallDisk::mount(&full), SmallDisk::mount(&fine)) else { return };
    let (Some(carbon), Some(mail)) = (Carbon::start(), SmtpServer::start(Smtp::Plain, None)) else { return };
    let hosts = [Sshd::start(), Sshd::start(), Sshd::start()];
    for host in &hosts[1..] {
        std::fs::copy(hosts[0].dir().join("authorized_keys"), host.dir().join("authorized_keys")).unwrap();
    }
    let settings = mail.settings();
    let service = Service::start_with(&settings.each_ref().map(|(name, value)| (*name, value.as_str())));
    let file = dir.path().join("classic.yaml");
    std::fs::write(&file, example(&hosts, [&full, &fine, &fine], &carbon.plaintext())).unwrap();
    std::fs::create_dir(full.join("cache")).unwrap();
    std::fs::write(full.join("cache/leftover"), vec![0; 23 << 20]).unwrap();

    let applied = service.cli(&["apply", "-f", file.to_str().unwrap()]);
    assert!(applied.status.success(), "{applied:?}");

    // The repair runs where the disk is full, once, and it does repair.
    let fired =
        within(LONG, "a repair", || service.get("results?trigger=action")["items"].as_array()?.first().cloned());
    let repair = service.get(&format!("results/{}", fired["id"].as_str().unwrap()));
    assert_eq!(
        (&repair["task"], &repair["host"], &repair["outcome"]),
        (&"make-room".into(), &"app1".into(), &"OK".into())
    );
    assert_eq!(repair["cause"]["action"], "repair-disk");
    let said = repair["stdout"].as_str().unwrap();
    assert!(said.starts_with("PROBLEM: app1/check_disk is CRITICAL: DISK CRITICAL"), "{said}");
    let cause = service.get(&format!("results/{}", repair["cause"]["result"].as_str().unwrap()));
    assert_eq!((&cause["state"], &cause["hard"], &cause["attempt"]), (&"CRITICAL".into(), &true.into(), &2.into()));
    assert!(!full.join("cache/leftover").exists());

    // Who is awake hears of it, and of its end; who sleeps hears of neither.
    let mails = within(LONG, "the end by e-mail", || Some(mail.mails()).filter(|mails| mails.len() >= 2));
    let subjects: Vec<&str> = mails.iter().map(|mail| mail.subject()).collect();
    assert_eq!(subjects, ["PROBLEM app1/check_disk is CRITICAL", "RECOVERY app1/check_disk is OK"]);
    assert!(mails.iter().all(|mail| mail.to == ["carla@example.org"]), "{mails:?}");
    assert_eq!(mails[1].header("In-Reply-To"), mails[0].header("Message-ID"));
    let slept = within(LONG, "what was held back and is over", || {
        service.get("notifications?contact=dave&outcome=dropped")["items"].as_array()?.first().cloned()
    });
    assert_eq!((&slept["reason"], &slept["host"]), (&"quiet_hours".into(), &"app1".into()), "{slept}");

    // All that was measured is in Graphite, of all three.
    for host in ["app1", "app2", "app3"] {
        let disk = if host == "app1" { &full } else { &fine };
        let disk = disk.to_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        for path in ["check_load.load1".to_owned(), format!("check_disk.{disk}"), "check_disk.duration_ms".to_owned()] {
            let path = format!("alf.{host}.{path}");
            let values = within(LONG, &path, || Some(carbon.values(&path)).filter(|values| !values.is_empty()));
            assert!(values.iter().all(|(_, value)| *value >= 0.0), "{path}: {values:?}");
        }
    }
    assert_eq!(service.get("results?trigger=action")["total"], 1, "one repair was enough");
    assert_eq!(mail.messages().len(), 2);
}
