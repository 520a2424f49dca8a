//! Each fault stops the start with one line that names the key, where it was set, and what is allowed.

use super::super::{Flags, Settings, SettingsError, StoreKind};
use super::{load, with_file};

/// The one line that the fault is reported with; it must hold all of `parts`.
#[track_caller]
pub(super) fn assert_refused(result: Result<Settings, SettingsError>, parts: &[&str]) {
    let line = result.map(|settings| settings.effective().to_owned());
    let line = line.unwrap_err().to_string();
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
    assert!(!line.contains(char::is_control), "{line:?} is not one line");
}

#[track_caller]
fn assert_file_refused(name: &str, text: &str, parts: &[&str]) {
    let (_dir, flags) = with_file(name, text);
    let path = flags.config.clone().unwrap();
    assert_refused(load(&flags, &[]), parts);
    assert_refused(load(&flags, &[]), &[path.to_str().unwrap()]);
}

#[test]
fn an_unknown_key_names_its_source_and_what_is_allowed() {
    assert_refused(
        load(&Flags::default(), &[("ALF_HTTP__LISTN", "x")]),
        &[
            "unknown key http.listn in environment variable ALF_HTTP__LISTN",
            "did you mean http.listen (ALF_HTTP__LISTEN)?",
            "allowed in http are listen, allow_plaintext, body_limit, workers",
        ],
    );
    assert_refused(
        load(&Flags::default(), &[("ALF_ZZZ__YYY", "x")]),
        &["zzz.yyy", "ALF_ZZZ__YYY", "allowed are data_dir, node, http, metrics, store"],
    );
    assert_file_refused("a.toml", "[http]\nlistn = 1", &["http.listn", "mean http.listen?"]);
    assert_file_refused("a.toml", "[htpp]\nlisten = 1", &["htpp.listen", "mean http.listen?"]);
    assert_file_refused("a.toml", "listen = 1", &["key listen in", "mean http.listen?"]);
    assert_file_refused("a.yaml", "ssh:\n  usr: x\n", &["ssh.usr", "mean ssh.user?"]);
    assert_file_refused("a.toml", "[http.tls]\ncert = 1", &["http.tls.cert", "mean http.tls.certificate?"]);
    assert_refused(
        load(&Flags::default(), &[("ALF_HTTP__", "x")]),
        &[
            "unknown key http.(nothing stands after it) in environment variable ALF_HTTP__",
            "allowed in http are listen",
        ],
    );
    assert_file_refused("a.json", r#"{"runs": {"q\n": 1}}"#, &["runs.q\\n", "max_in_flight"]);
}

#[test]
fn a_bad_value_names_key_source_and_what_is_allowed() {
    let listen = Flags { listen: Some("localhost".into()), ..Flags::default() };
    assert_refused(load(&listen, &[]), &["\"localhost\" for http.listen in flag --listen: allowed is ADDR:PORT"]);
    let node = Flags { node: Some("a b\u{1b}\u{9b}\u{202e}".into()), ..Flags::default() };
    assert_refused(load(&node, &[]), &["node.name", "--node", r"\u001b\u{9b}\u{202e}", "allowed is a name"]);
    for (text, parts) in [
        ("[node]\nname = 7", ["7 for node.name", "allowed is a name"]),
        ("http = 1", ["1 for http", "a table of listen"]),
        ("[http.listen]\na = 1", ["(a table) for http.listen", "ADDR:PORT"]),
        ("[http]\nworkers = 0", ["0 for http.workers", "from 1 to 256"]),
        ("[http]\nworkers = '2'", ["\"2\" for http.workers", "whole number"]),
        ("[http]\nbody_limit = '1MB'", ["http.body_limit", "1MiB"]),
        ("[http]\nbody_limit = 2000000000", ["http.body_limit", "1GiB"]),
        ("[store]\nkind = 'mysql'", ["\"mysql\" for store.kind", "allowed is sqlite or mongodb"]),
        ("[store]\nkind = 'mongodb'", ["store.url is not set", "mongodb://HOST:PORT"]),
        ("[store]\ndatabase = 'a.b'", ["\"a.b\" for store.database", "1 to 63 letters"]),
        ("[schedule]\ntimezone = 'Mars'", ["schedule.timezone", "IANA"]),
        ("[ssh]\nlogin_timeout = '0s'", ["ssh.login_timeout", "1ms"]),
        ("[ssh]\nlogin_timeout = '1s1m'", ["ssh.login_timeout", "1h30m"]),
        ("[ssh]\nknown_hosts = '/a'", ["ssh.known_hosts", "list of paths"]),
        ("[ssh]\nknown_hosts = ['~bob/x']", ["ssh.known_hosts", "list of paths"]),
        ("[shutdown]\ngrace = 10", ["10 for shutdown.grace", "90s"]),
    ] {
        assert_file_refused("a.toml", text, &parts);
    }
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let url = "mongodb://alf:s3cret@db1,db2/?replicaSet=rs0";
    let variables = [("ALF_STORE__KIND", "mongodb"), ("ALF_STORE__URL", url)];
    let settings = load(&Flags::default(), &variables).unwrap();
    let StoreKind::Mongodb { url: kept, database } = &settings.store.kind else { panic!("{settings:?}") };
    assert_eq!((kept.reveal(), database.as_str()), (url, "alf"));
    let shown = "url = \"mongodb://alf:***@db1,db2/?replicaSet=rs0\"  # environment variable ALF_STORE__URL";
    assert!(settings.effective().contains(shown), "{}", settings.effective());
    assert!(!settings.effective().contains("s3cret") && !format!("{settings:?}").contains("s3cret"));
    for url in [
        "alf:s3cret@db1",
        "mongodb://alf:s3cret@db1:port",
        "mongodb://alf:s3cret@db1/?nosuchoption=s3cret",
        "postgres://alf:s3cret@db1",
        "",
    ] {
        let fault = load(&Flags::default(), &[("ALF_STORE__URL", url)]).unwrap_err().to_string();
        assert!(
            fault.contains("for store.url in environment variable ALF_STORE__URL: allowed is mongodb://"),
            "{fault}"
        );
        assert!(!fault.contains("s3c") && !fault.contains("et@"), "{fault}");
    }
}

#[test]
fn an_unreadable_file_is_refused_in_one_line() {
    let missing = Flags { config: Some("/nowhere/alf.toml".into()), ..Flags::default() };
    assert_refused(load(&missing, &[]), &["/nowhere/alf.toml", "--config", "allowed"]);
    assert_file_refused("alf.ini", "", &["allowed is .toml, .yaml, .yml or .json"]);
    assert_file_refused("a.toml", "[http]\nlisten = ", &["not TOML at line 2 column"]);
    assert_file_refused("a.yaml", "http: [\n", &["not YAML", "line 1"]);
    assert_file_refused("a.yaml", "http: {}\nhttp: {}\n", &["duplicate", "line 2"]);
    assert_file_refused("a.yaml", "- http\n", &["allowed is a table of"]);
    assert_file_refused("a.json", "{", &["not JSON", "line 1"]);
    assert_file_refused("a.json", r#"{"http": {"workers": 1}, "http.workers": 2}"#, &["http.workers is set twice"]);
    assert_refused(
        load(&Flags::default(), &[("ALF_HTTP__WORKERS", "1"), ("ALF_http__workers", "2")]),
        &["http.workers", "ALF_HTTP__WORKERS and environment variable ALF_http__workers"],
    );
}

#[test]
fn clear_text_beyond_loopback_has_to_be_allowed() {
    for address in ["0.0.0.0:8253", "[::]:8253", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
        let flags = Flags { listen: Some(address.into()), ..Flags::default() };
        assert_refused(load(&flags, &[]), &[address, "flag --listen", "TLS", "http.allow_plaintext = true"]);
        let allowed = [("ALF_HTTP__ALLOW_PLAINTEXT", "true")];
        assert_eq!(load(&flags, &allowed).unwrap().http.listen.to_string(), address);
    }
    for address in ["127.0.0.2:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        let variables = [("ALF_HTTP__LISTEN", address)];
        load(&Flags::default(), &variables).unwrap();
    }
}
