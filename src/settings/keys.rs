//! Every key there is: its type, its default, and what is allowed. A key only exists with behaviour behind it.

use std::time::Duration;

use figment::value::Value;

use super::{store, values};

/// One setting.
pub(super) struct Key {
    /// `group.leaf`, also of a group in a group, or a leaf alone.
    pub(super) path: &'static str,
    pub(super) shape: Shape,
    pub(super) default: BuiltIn,
    /// Completes "allowed is …" in messages.
    pub(super) allowed: &'static str,
    check: fn(&Value) -> Option<()>,
}

/// The type of a key, by which text from the environment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Boolean,
    Integer,
    /// A list of texts; in the environment JSON (`["a", "b"]`) or separated by commas.
    Texts,
}

/// What holds when no source sets the key.
pub(super) enum BuiltIn {
    Text(&'static str),
    Boolean(bool),
    Integer(u32),
    Texts(&'static [&'static str]),
    /// Found out at the start: the host name, the data directory.
    Computed,
    /// Nothing, and what that means.
    Absent(&'static str),
}

impl Key {
    /// Whether the key may have this value.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        (self.check)(value).is_some()
    }

    /// The environment variable that sets the key.
    pub(super) fn variable(&self) -> String {
        format!("ALF_{}", self.path.to_uppercase().replace('.', "__"))
    }

    /// What it means that nothing sets the key.
    pub(super) fn absent(&self) -> &'static str {
        match self.default {
            BuiltIn::Absent(meaning) => meaning,
            _ => "",
        }
    }
}

/// The key with this dotted path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names of the keys and groups in a group; empty if there is no such group.
pub(super) fn in_group(group: &str) -> Vec<&'static str> {
    let inside = |key: &Key| key.path.strip_prefix(group)?.strip_prefix('.');
    let mut names: Vec<_> =
        KEYS.iter().filter_map(inside).map(|rest| rest.split_once('.').map_or(rest, |(name, _)| name)).collect();
    names.dedup();
    names
}

/// The groups, and the keys that are in none.
pub(super) fn top_level() -> Vec<&'static str> {
    let mut names: Vec<_> =
        KEYS.iter().map(|key| key.path.split_once('.').map_or(key.path, |(group, _)| group)).collect();
    names.dedup();
    names
}

const PATH: &str = "a path as text; a leading ~/ is the home directory";
const NAME: &str = "a name: a letter or digit, then up to 127 letters, digits, dots, underscores or hyphens";
const WAIT: &str = "text such as 250ms, 90s, 5m or 1h30m, from 1ms to 1h";
const PLACES: &str = "a whole number from 1 to 100000";
const HEAD: &str = "a number of bytes, or text such as 512 or 8KiB, from 256 to 64KiB";
const KEPT: &str = "none, or text such as 12h, 90d or 1d12h, from 1m on";
const HOUR: Duration = Duration::from_secs(60 * 60);

fn wait(value: &Value) -> Option<()> {
    values::duration(value).filter(|wait| !wait.is_zero() && *wait <= HOUR).map(drop)
}

fn kept(value: &Value) -> Option<()> {
    values::limit(value).filter(|kept| kept.is_none_or(|it| it.as_secs() >= 60)).map(drop)
}

fn count<const FIRST: usize, const LAST: usize>(value: &Value) -> Option<()> {
    values::count(value).filter(|count| (FIRST..=LAST).contains(count)).map(drop)
}

/// No more than actix-http reads of a head.
fn head(value: &Value) -> Option<()> {
    values::bytes(value).filter(|bytes| (1 << 8..=1 << 16).contains(bytes)).map(drop)
}

fn file(value: &Value) -> Option<()> {
    values::path(value).map(drop)
}

/// All keys, in the order of `config/alf.toml`; the keys of a group stand together.
pub(super) const KEYS: &[Key] = &[
    Key { path: "data_dir", shape: Shape::Text, default: BuiltIn::Computed, allowed: PATH, check: file },
    Key {
        path: "node.name",
        shape: Shape::Text,
        default: BuiltIn::Computed,
        allowed: NAME,
        check: |value| values::name(value).map(drop),
    },
    Key {
        path: "http.listen",
        shape: Shape::Text,
        default: BuiltIn::Text("127.0.0.1:8253"),
        allowed: "ADDR:PORT with an IP address, such as 127.0.0.1:8253 or [::1]:8253; port 0 is any free one",
        check: |value| values::address(value).map(drop),
    },
    Key {
        path: "http.allow_plaintext",
        shape: Shape::Boolean,
        default: BuiltIn::Boolean(false),
        allowed: "true or false",
        check: |value| values::boolean(value).map(drop),
    },
    Key {
        path: "http.body_limit",
        shape: Shape::Text,
        default: BuiltIn::Text("1MiB"),
        allowed: "a number of bytes, or text such as 512KiB or 1MiB, from 1KiB to 1GiB",
        check: |value| values::bytes(value).filter(|bytes| (1 << 10..=1 << 30).contains(bytes)).map(drop),
    },
    Key {
        path: "http.workers",
        shape: Shape::Integer,
        default: BuiltIn::Integer(2),
        allowed: "a whole number from 1 to 256",
        check: count::<1, 256>,
    },
    Key {
        path: "http.connections",
        shape: Shape::Integer,
        default: BuiltIn::Integer(4096),
        allowed: PLACES,
        check: count::<1, 100_000>,
    },
    Key {
        path: "http.connections_per_address",
        shape: Shape::Integer,
        default: BuiltIn::Integer(2048),
        allowed: PLACES,
        check: count::<1, 100_000>,
    },
    Key {
        path: "http.requests_in_flight",
        shape: Shape::Integer,
        default: BuiltIn::Integer(512),
        allowed: PLACES,
        check: count::<1, 100_000>,
    },
    Key {
        path: "http.event_streams",
        shape: Shape::Integer,
        default: BuiltIn::Integer(512),
        allowed: PLACES,
        check: count::<1, 100_000>,
    },
    Key { path: "http.header_timeout", shape: Shape::Text, default: BuiltIn::Text("10s"), allowed: WAIT, check: wait },
    Key { path: "http.body_timeout", shape: Shape::Text, default: BuiltIn::Text("60s"), allowed: WAIT, check: wait },
    Key { path: "http.write_timeout", shape: Shape::Text, default: BuiltIn::Text("60s"), allowed: WAIT, check: wait },
    Key { path: "http.keep_alive", shape: Shape::Text, default: BuiltIn::Text("75s"), allowed: WAIT, check: wait },
    Key { path: "http.header_limit", shape: Shape::Text, default: BuiltIn::Text("32KiB"), allowed: HEAD, check: head },
    Key { path: "http.uri_limit", shape: Shape::Text, default: BuiltIn::Text("8KiB"), allowed: HEAD, check: head },
    Key {
        path: "http.tls.certificate",
        shape: Shape::Text,
        default: BuiltIn::Absent("plain HTTP"),
        allowed: PATH,
        check: file,
    },
    Key {
        path: "http.tls.key",
        shape: Shape::Text,
        default: BuiltIn::Absent("plain HTTP"),
        allowed: PATH,
        check: file,
    },
    Key {
        path: "metrics.public",
        shape: Shape::Boolean,
        default: BuiltIn::Boolean(false),
        allowed: "true or false",
        check: |value| values::boolean(value).map(drop),
    },
    Key {
        path: "store.kind",
        shape: Shape::Text,
        default: BuiltIn::Text("sqlite"),
        allowed: "sqlite or mongodb",
        check: |value| store::kind(value).map(drop),
    },
    Key {
        path: "store.url",
        shape: Shape::Text,
        default: BuiltIn::Absent("needed for mongodb"),
        allowed: "mongodb://[USER:PASSWORD@]HOST[:PORT][,…]/[?OPTIONS] or mongodb+srv://[USER:PASSWORD@]HOST/[?OPTIONS], \
                  user and password percent-encoded",
        check: |value| store::url(value).map(drop),
    },
    Key {
        path: "store.database",
        shape: Shape::Text,
        default: BuiltIn::Text("alf"),
        allowed: "the name of a database: 1 to 63 letters, digits, hyphens or underscores, and none of MongoDB's own",
        check: |value| store::database(value).map(drop),
    },
    Key {
        path: "schedule.timezone",
        shape: Shape::Text,
        default: BuiltIn::Text("UTC"),
        allowed: "the IANA name of a time zone, such as UTC or Europe/Berlin",
        check: |value| values::timezone(value).map(drop),
    },
    Key {
        path: "ssh.user",
        shape: Shape::Text,
        default: BuiltIn::Absent("the user that Alf runs as"),
        allowed: "a user name: 1 to 256 characters, none of them blank",
        check: |value| values::user(value).map(drop),
    },
    Key {
        path: "ssh.credential",
        shape: Shape::Text,
        default: BuiltIn::Absent("the agent, else ~/.ssh/id_* without passphrase"),
        allowed: NAME,
        check: |value| values::name(value).map(drop),
    },
    Key { path: "ssh.connect_timeout", shape: Shape::Text, default: BuiltIn::Text("10s"), allowed: WAIT, check: wait },
    Key { path: "ssh.login_timeout", shape: Shape::Text, default: BuiltIn::Text("15s"), allowed: WAIT, check: wait },
    Key {
        path: "ssh.keepalive_interval",
        shape: Shape::Text,
        default: BuiltIn::Text("15s"),
        allowed: WAIT,
        check: wait,
    },
    Key {
        path: "ssh.keepalive_max",
        shape: Shape::Integer,
        default: BuiltIn::Integer(3),
        allowed: "a whole number from 1 to 100",
        check: count::<1, 100>,
    },
    Key {
        path: "ssh.known_hosts",
        shape: Shape::Texts,
        default: BuiltIn::Texts(&["~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"]),
        allowed: "a list of paths (as a variable: JSON, or separated by commas); a leading ~/ is the home directory",
        check: |value| values::paths(value).map(drop),
    },
    Key {
        path: "ssh.handshakes",
        shape: Shape::Integer,
        default: BuiltIn::Integer(50),
        allowed: "a whole number from 1 to 10000",
        check: count::<1, 10_000>,
    },
    Key {
        path: "ssh.idle_timeout",
        shape: Shape::Text,
        default: BuiltIn::Text("10m"),
        allowed: "none, or text such as 250ms, 90s, 5m or 1h30m, from 1s on",
        check: |value| values::limit(value).filter(|limit| limit.is_none_or(|it| it.as_secs() > 0)).map(drop),
    },
    Key {
        path: "ssh.queue",
        shape: Shape::Integer,
        default: BuiltIn::Integer(1000),
        allowed: "a whole number from 1 to 100000",
        check: count::<1, 100_000>,
    },
    Key {
        path: "runs.max_in_flight",
        shape: Shape::Integer,
        default: BuiltIn::Integer(512),
        allowed: "a whole number from 1 to 100000",
        check: count::<1, 100_000>,
    },
    Key {
        path: "runs.queue",
        shape: Shape::Integer,
        default: BuiltIn::Integer(10_000),
        allowed: "a whole number from 1 to 1000000",
        check: count::<1, 1_000_000>,
    },
    Key {
        path: "flapping.low",
        shape: Shape::Integer,
        default: BuiltIn::Integer(20),
        allowed: "a whole number from 0 to 100, at most flapping.high",
        check: count::<0, 100>,
    },
    Key {
        path: "flapping.high",
        shape: Shape::Integer,
        default: BuiltIn::Integer(30),
        allowed: "a whole number from 0 to 100",
        check: count::<0, 100>,
    },
    Key {
        path: "actions.allow_private",
        shape: Shape::Texts,
        default: BuiltIn::Texts(&[]),
        allowed: "a list of networks such as 10.0.0.0/8 and addresses (as a variable: JSON, or separated by commas)",
        check: |value| values::networks(value).map(drop),
    },
    Key {
        path: "actions.ca_file",
        shape: Shape::Text,
        default: BuiltIn::Absent("the CAs of the system alone"),
        allowed: PATH,
        check: file,
    },
    Key {
        path: "actions.spool_limit",
        shape: Shape::Text,
        default: BuiltIn::Text("64MiB"),
        allowed: "a number of bytes, or text such as 512KiB or 64MiB, from 64KiB to 64GiB",
        check: |value| values::bytes(value).filter(|bytes| (1 << 16..=1 << 36).contains(bytes)).map(drop),
    },
    Key {
        path: "email.server",
        shape: Shape::Text,
        default: BuiltIn::Absent("no e-mail is sent"),
        allowed: "the name or the address of a server, without a port",
        check: |value| values::host(value).map(drop),
    },
    Key {
        path: "email.port",
        shape: Shape::Integer,
        default: BuiltIn::Absent("587, or 465 with email.tls = \"implicit\""),
        allowed: "a whole number from 1 to 65535",
        check: count::<1, 65_535>,
    },
    Key {
        path: "email.tls",
        shape: Shape::Text,
        default: BuiltIn::Text("required"),
        allowed: "required or optional (STARTTLS), implicit, none",
        check: |value| values::email_tls(value).map(drop),
    },
    Key {
        path: "email.user",
        shape: Shape::Text,
        default: BuiltIn::Absent("no login"),
        allowed: "a user name: 1 to 256 characters, none of them blank",
        check: |value| values::user(value).map(drop),
    },
    Key {
        path: "email.password_file",
        shape: Shape::Text,
        default: BuiltIn::Absent("no login"),
        allowed: PATH,
        check: file,
    },
    Key {
        path: "email.from",
        shape: Shape::Text,
        default: BuiltIn::Absent("no e-mail is sent"),
        allowed: "an address of e-mail, such as alf@example.org or Alf <alf@example.org>",
        check: |value| values::mailbox(value).map(drop),
    },
    Key {
        path: "threads.arbiters",
        shape: Shape::Integer,
        default: BuiltIn::Integer(0),
        allowed: "a whole number from 0 (one a core, at most 4) to 256",
        check: count::<0, 256>,
    },
    Key { path: "retention.max_age", shape: Shape::Text, default: BuiltIn::Text("90d"), allowed: KEPT, check: kept },
    Key {
        path: "retention.keep_problems",
        shape: Shape::Text,
        default: BuiltIn::Text("365d"),
        allowed: KEPT,
        check: kept,
    },
    Key {
        path: "retention.max_count",
        shape: Shape::Integer,
        default: BuiltIn::Absent("as many as there are"),
        allowed: "a whole number from 1 to 1000000000",
        check: count::<1, 1_000_000_000>,
    },
    Key {
        path: "retention.max_bytes",
        shape: Shape::Text,
        default: BuiltIn::Absent("as large as it gets"),
        allowed: "a number of bytes, or text such as 512MiB, 20GiB or 1TiB, from 16MiB on",
        check: |value| values::bytes(value).filter(|bytes| *bytes >= 1 << 24).map(drop),
    },
    Key {
        path: "shutdown.grace",
        shape: Shape::Text,
        default: BuiltIn::Text("10s"),
        allowed: "text such as 250ms, 90s, 5m or 1h30m, from 0s to 1h",
        check: |value| values::duration(value).filter(|wait| *wait <= HOUR).map(drop),
    },
    Key {
        path: "logging.file",
        shape: Shape::Text,
        default: BuiltIn::Absent("the defaults that config/logging.yaml shows"),
        allowed: PATH,
        check: file,
    },
    Key {
        path: "secrets.key_file",
        shape: Shape::Text,
        default: BuiltIn::Absent("secret.key in the data directory"),
        allowed: PATH,
        check: file,
    },
];
