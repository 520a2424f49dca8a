//! What an operator sees of the settings.

mod faults;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use faults::assert_refused;

use super::{EmailTls, Flags, Settings, SettingsError, data_dir, keys};

/// A load with a home directory and nothing else set, plus these.
fn load(flags: &Flags, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let home = [("HOME", "/home/op")];
    let all = home.iter().chain(variables);
    Settings::load(flags, all.map(|(name, value)| ((*name).into(), (*value).into())))
}

fn with_file(name: &str, text: &str) -> (tempfile::TempDir, Flags) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let flags = Flags { config: Some(path), ..Flags::default() };
    (dir, flags)
}

#[test]
fn defaults_need_no_configuration() {
    let settings = load(&Flags::default(), &[]).unwrap();
    assert_eq!(settings.data_dir, Path::new("/home/op/.local/state/alf"));
    assert_eq!(settings.secrets.key_file, Path::new("/home/op/.local/state/alf/secret.key"));
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8253");
    assert_eq!(settings.http.body_limit, 1024 * 1024);
    assert_eq!(settings.store.kind.as_str(), "sqlite");
    assert_eq!(settings.schedule.timezone, "UTC");
    assert_eq!(settings.shutdown.grace, Duration::from_secs(10));
    assert_eq!(settings.ssh.user, None);
    assert_eq!(
        settings.ssh.known_hosts,
        [Path::new("/home/op/.ssh/known_hosts"), Path::new("/etc/ssh/ssh_known_hosts")]
    );
    assert!((1..=4).contains(&settings.threads.arbiters));
    assert!(!settings.node.name.is_empty());
}

#[test]
fn the_stronger_source_wins() {
    let (_dir, mut flags) = with_file(
        "alf.toml",
        "node.name = 'file'\nhttp.listen = '127.0.0.1:1'\nhttp.workers = 7\ndata_dir = '/file'\n",
    );
    let from_file = load(&flags, &[]).unwrap();
    assert_eq!(from_file.node.name, "file");
    assert_eq!(from_file.http.workers, 7);
    assert_eq!(from_file.data_dir, Path::new("/file"));

    let variables = [
        ("ALF_NODE__NAME", "variable"),
        ("ALF_HTTP__LISTEN", "127.0.0.1:2"),
        ("ALF_DATA_DIR", "/variable"),
        ("XDG_STATE_HOME", "/state"),
    ];
    let from_environment = load(&flags, &variables).unwrap();
    assert_eq!(from_environment.node.name, "variable");
    assert_eq!(from_environment.http.listen.port(), 2);
    assert_eq!(from_environment.http.workers, 7);
    assert_eq!(from_environment.data_dir, Path::new("/variable"));

    flags.node = Some("flag".into());
    flags.listen = Some("[::1]:0".into());
    flags.data_dir = Some("/flag".into());
    let from_flags = load(&flags, &variables).unwrap();
    assert_eq!(from_flags.node.name, "flag");
    assert_eq!(from_flags.http.listen.to_string(), "[::1]:0");
    assert_eq!(from_flags.data_dir, Path::new("/flag"));
    assert_eq!(from_flags.http.workers, 7);
}

#[test]
fn the_data_directory_is_found_without_other_settings() {
    let find = |flag: Option<&str>, variables: &[(&str, &str)]| {
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        data_dir(flag.map(Path::new), variables.into_iter())
    };
    let all = [
        ("ALF_DATA_DIR", "/variable"),
        ("ALF_HTTP__LISTN", "a fault of no concern here"),
        ("HOME", "/home/op"),
        ("XDG_STATE_HOME", "/state"),
    ];
    assert_eq!(find(Some("/flag"), &all).unwrap(), Path::new("/flag"));
    assert_eq!(find(None, &all).unwrap(), Path::new("/variable"));
    assert_eq!(find(None, &all[1..]).unwrap(), Path::new("/state/alf"));
    assert_eq!(find(None, &all[1..3]).unwrap(), Path::new("/home/op/.local/state/alf"));
    // The XDG specification has a relative one ignored.
    let relative = [("XDG_STATE_HOME", "state"), ("HOME", "/root")];
    assert_eq!(find(None, &relative).unwrap(), Path::new("/root/.local/state/alf"));
    let lost = find(None, &[]).unwrap_err().to_string();
    assert!(lost.contains("HOME") && lost.contains("--data-dir"), "{lost}");
}

#[test]
fn a_service_without_home_starts_with_a_data_directory() {
    let flags = Flags { data_dir: Some("/var/lib/alf".into()), ..Flags::default() };
    let settings = Settings::load(&flags, std::iter::empty()).unwrap();
    assert_eq!(settings.ssh.known_hosts, [Path::new("/etc/ssh/ssh_known_hosts")]);

    let asked = [("ALF_SSH__KNOWN_HOSTS".to_owned(), "~/hosts".to_owned())];
    assert_refused(
        Settings::load(&flags, asked.into_iter()),
        &["ssh.known_hosts", "ALF_SSH__KNOWN_HOSTS", "HOME", "allowed"],
    );
}

#[test]
fn a_variable_is_read_as_the_type_of_its_key() {
    let variables = [
        ("ALF_NODE__NAME", "007"),
        ("ALF_SSH__USER", "true"),
        ("ALF_SSH__CREDENTIAL", "1e3"),
        ("ALF_HTTP__ALLOW_PLAINTEXT", "true"),
        ("ALF_HTTP__LISTEN", "0.0.0.0:80"),
        ("ALF_HTTP__WORKERS", "12"),
        ("ALF_HTTP__BODY_LIMIT", "4096"),
        ("ALF_SSH__CONNECT_TIMEOUT", "1m30s"),
        ("ALF_SSH__KNOWN_HOSTS", "/a, ~/b"),
    ];
    let settings = load(&Flags::default(), &variables).unwrap();
    assert_eq!(settings.node.name, "007");
    assert_eq!(settings.ssh.user.as_deref(), Some("true"));
    assert_eq!(settings.ssh.credential.as_deref(), Some("1e3"));
    assert!(settings.http.allow_plaintext);
    assert_eq!(settings.http.workers, 12);
    assert_eq!(settings.http.body_limit, 4096);
    assert_eq!(settings.ssh.connect_timeout, Duration::from_secs(90));
    let hosts = [PathBuf::from("/a"), PathBuf::from("/home/op/b")];
    assert_eq!(settings.ssh.known_hosts, hosts);

    let json = [("ALF_SSH__KNOWN_HOSTS", r#"["/a,b"]"#)];
    let settings = load(&Flags::default(), &json).unwrap();
    assert_eq!(settings.ssh.known_hosts, [Path::new("/a,b")]);

    for (name, value) in [
        ("ALF_HTTP__WORKERS", "two"),
        ("ALF_HTTP__WORKERS", "2.0"),
        ("ALF_HTTP__ALLOW_PLAINTEXT", "yes"),
        ("ALF_SSH__KNOWN_HOSTS", "[/a"),
        ("ALF_NODE__NAME", ""),
    ] {
        assert_refused(load(&Flags::default(), &[(name, value)]), &[name, "allowed"]);
    }
}

#[test]
fn variables_without_a_double_underscore_are_left_alone() {
    let variables =
        [("ALF_URL", "http://x"), ("ALF_API_KEY", "k"), ("ALF_HTTP_LISTEN", "nonsense"), ("OTHER__KEY", "x")];
    let settings = load(&Flags::default(), &variables).unwrap();
    assert_eq!(settings.http.listen.port(), 8253);
}

#[test]
fn toml_yaml_and_json_say_the_same() {
    let files = [
        ("a.toml", "[http]\nlisten = '127.0.0.1:9'\nworkers = 3\n[ssh]\nknown_hosts = ['/k']"),
        ("a.yaml", "http:\n  listen: 127.0.0.1:9\n  workers: 3\nssh:\n  known_hosts: [/k]\nruns:\n"),
        ("a.YML", "{http: {listen: '127.0.0.1:9', workers: 3}, ssh: {user: , known_hosts: [/k]}}"),
        ("a.json", r#"{"http":{"listen":"127.0.0.1:9","workers":3},"ssh":{"known_hosts":["/k"]}}"#),
    ];
    for (name, text) in files {
        let (_dir, flags) = with_file(name, text);
        let settings = load(&flags, &[]).unwrap();
        assert_eq!(settings.http.listen.port(), 9, "{name}");
        assert_eq!(settings.http.workers, 3, "{name}");
        assert_eq!(settings.ssh.known_hosts, [Path::new("/k")], "{name}");
    }
    let (_dir, flags) = with_file("empty.yaml", "# nothing\n");
    load(&flags, &[]).unwrap();
}

#[test]
fn text_in_yaml_needs_no_quotes() {
    for text in ["007", "true", "no", "1e3", "0x10"] {
        let (_dir, flags) = with_file("a.yaml", &format!("node:\n  name: {text}\n"));
        assert_eq!(load(&flags, &[]).unwrap().node.name, text);
    }
}

#[test]
fn effective_settings_name_their_sources_and_can_be_read_back() {
    let (dir, mut flags) = with_file("alf.toml", "[ssh]\nuser = 'ops\"\u{e9}'\nkeepalive_max = 9\n");
    flags.node = Some("n1".into());
    let variables = [("ALF_RUNS__QUEUE", "77")];
    let settings = load(&flags, &variables).unwrap();
    let shown = settings.effective();
    let file = flags.config.clone().unwrap();
    for line in [
        "name = \"n1\"  # flag --node".to_owned(),
        "queue = 77  # environment variable ALF_RUNS__QUEUE".to_owned(),
        format!("keepalive_max = 9  # file {}", file.display()),
        "listen = \"127.0.0.1:8253\"  # default".to_owned(),
        "# credential is not set: the agent, else ~/.ssh/id_* without passphrase".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }

    let again = dir.path().join("again.toml");
    fs::write(&again, shown).unwrap();
    let flags = Flags { config: Some(again), ..Flags::default() };
    let again = load(&flags, &[]).unwrap();
    assert_eq!(again.ssh, settings.ssh);
    assert_eq!(again.runs, settings.runs);
    assert_eq!(again.node, settings.node);
    assert_eq!(again.data_dir, settings.data_dir);
}

#[test]
fn a_host_name_becomes_a_node_name() {
    let name = super::values::name_from;
    assert_eq!(name("web-1.example.org\n"), "web-1.example.org");
    assert_eq!(name("_büro host_"), "b-ro-host_");
    assert_eq!(name(" \n"), "alf");
    assert_eq!(name(&"a".repeat(300)).len(), 128);
}

#[test]
fn the_example_file_shows_every_key_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/alf.toml");
    let text = fs::read_to_string(&path).unwrap();
    let example = Flags { config: Some(path), ..Flags::default() };
    let values = |settings: &Settings| {
        let shown = settings.effective().lines();
        let values = shown.map(|line| line.split("  # ").next().unwrap_or_default().to_owned());
        values.collect::<Vec<_>>()
    };
    let from_example = load(&example, &[]).unwrap();
    let defaults = load(&Flags::default(), &[]).unwrap();
    assert_eq!(values(&from_example), values(&defaults));

    // Commented-out settings begin with # and no blank.
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => format!("{setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (_dir, flags) = with_file("all.toml", &uncommented);
    let path = flags.config.clone().unwrap();
    let all = load(&flags, &[]).unwrap();
    let file = format!("  # file {}", path.display());
    let named = all.effective().lines().filter(|line| line.ends_with(&file));
    assert_eq!(named.count(), keys::KEYS.len(), "{}", all.effective());
}

#[test]
fn mail_and_webhooks_have_their_settings() {
    let defaults = load(&Flags::default(), &[]).unwrap();
    assert_eq!((defaults.actions.allow_private.len(), defaults.actions.spool_limit), (0, 64 << 20));
    assert_eq!((defaults.actions.ca_file, defaults.email), (None, None));
    let settings = load(
        &Flags::default(),
        &[
            ("ALF_ACTIONS__ALLOW_PRIVATE", "10.0.0.0/8,::1,192.0.2.1"),
            ("ALF_EMAIL__SERVER", "mail.example.org"),
            ("ALF_EMAIL__PORT", "2525"),
            ("ALF_EMAIL__TLS", "optional"),
            ("ALF_EMAIL__USER", "alf"),
            ("ALF_EMAIL__PASSWORD_FILE", "~/mail.password"),
            ("ALF_EMAIL__FROM", "Alf <alf@example.org>"),
        ],
    )
    .unwrap();
    let networks: Vec<String> = settings.actions.allow_private.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]);
    let email = settings.email.unwrap();
    assert_eq!((email.server.as_str(), email.port, email.tls), ("mail.example.org", Some(2525), EmailTls::Optional));
    let (user, file) = email.login.unwrap();
    assert_eq!((user.as_str(), file.path.as_path()), ("alf", Path::new("/home/op/mail.password")));
    assert_eq!(email.from, "Alf <alf@example.org>");

    for (set, missing) in [
        (("ALF_EMAIL__SERVER", "mail.example.org"), "email.from"),
        (("ALF_EMAIL__FROM", "alf@example.org"), "email.server"),
        (("ALF_EMAIL__USER", "alf"), "email.password_file"),
    ] {
        let error = load(&Flags::default(), &[set]).unwrap_err().to_string();
        assert!(error.contains(missing) && error.contains(set.0), "{error}");
    }
}
