//! What the user's ssh_config(5) says about a host, as `ssh -G` tells it: ssh itself reads its own files best.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::error::CliError;
use super::text::escaped;

/// How long ssh may take: its configuration may run programs (`Match exec`).
const LIMIT: Duration = Duration::from_secs(10);
/// How much of its answer is read.
const LARGEST: u64 = 1024 * 1024;

/// `[USER@]HOST[:PORT]`, as a person gives it; an IPv6 address with a port in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Target {
    /// Reads it; the message says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fault = |what: &str| format!("\"{}\" {what}; write [USER@]HOST[:PORT]", escaped(text));
        let (user, rest) = match text.rsplit_once('@') {
            Some(("", _)) => return Err(fault("names no user before the @")),
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[').map(|inner| inner.split_once(']')) {
            Some(Some((host, ""))) => (host, None),
            Some(Some((host, port))) => {
                (host, Some(port.strip_prefix(':').ok_or_else(|| fault("has more than a :PORT after the bracket"))?))
            }
            Some(None) => return Err(fault("has a bracket that is not closed")),
            // More than one colon is an IPv6 address without a port.
            None => match rest.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (rest, None),
            },
        };
        let port =
            port.map(|port| port.parse().ok().filter(|port| *port != 0)).map_or(Ok(None), |port: Option<u16>| {
                port.map(Some).ok_or_else(|| fault("has a port that is not a number from 1 to 65535"))
            })?;
        let legal = |c: char| c.is_alphanumeric() || "._-:%".contains(c);
        // A leading dash would be an option to ssh.
        if host.is_empty() || host.starts_with('-') || !host.chars().all(legal) {
            return Err(fault("names no host"));
        }
        if user.as_deref().is_some_and(|user| user.starts_with('-')) {
            return Err(fault("has a user that begins with a dash"));
        }
        Ok(Self { user, host: host.to_owned(), port })
    }
}

/// What ssh_config says about a host, where that is more than what ssh would do without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// `HostName`.
    pub(super) address: Option<String>,
    /// `Port`.
    pub(super) port: Option<u16>,
    /// `User`.
    pub(super) user: Option<String>,
    /// `IdentityFile`, as written.
    pub(super) identity_files: Vec<String>,
    /// `ProxyJump`, as written: one host or several with commas between, each as [`Target`] reads it.
    pub(super) proxy_jump: Option<String>,
    /// `ProxyCommand`, which Alf has nothing for.
    pub(super) proxy_command: Option<String>,
}

/// Asks ssh; none when it is not installed.
pub(super) async fn ask(ssh: &Path, target: &Target) -> Result<Option<Known>, CliError> {
    let Some(configured) = print(ssh, target, &[]).await? else { return Ok(None) };
    // What it says without any configuration is only its defaults.
    let defaults = print(ssh, target, &["-F", "none"]).await?.unwrap_or_default();
    Ok(Some(known(&configured, &defaults)))
}

async fn print(ssh: &Path, target: &Target, options: &[&str]) -> Result<Option<String>, CliError> {
    let fault = |what: String| {
        CliError::Failed(format!("cannot ask ssh about {}: {what}; --no-ssh-config does without", target.host))
    };
    let mut command = Command::new(ssh);
    command.arg("-G").args(options);
    if let Some(user) = &target.user {
        command.args([OsStr::new("-l"), OsStr::new(user)]);
    }
    if let Some(port) = target.port {
        command.args(["-p", &port.to_string()]);
    }
    command.args(["--", &target.host]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fault(error.to_string())),
    };
    let pipes = (child.stdout.take(), child.stderr.take());
    // Both ends of ssh are read at once, lest it wait for one while we wait for the other.
    let errors = tokio::task::spawn_blocking(|| read(pipes.1));
    let reading = tokio::task::spawn_blocking(|| read(pipes.0));
    let read = tokio::time::timeout(LIMIT, async { (reading.await, errors.await) }).await;
    if read.is_err() {
        // The readers end when ssh does.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| fault(error.to_string()))?;
    match read {
        Ok((Ok(text), _)) if status.success() => Ok(Some(text)),
        Ok((_, errors)) => {
            let errors = errors.unwrap_or_default();
            let said = errors.lines().next().map_or_else(|| status.to_string(), escaped);
            Err(fault(said))
        }
        Err(_) => Err(fault(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

fn read(pipe: Option<impl std::io::Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        // What could not be read is missing from the answer, and ssh's own status tells more.
        let _ = pipe.take(LARGEST).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is configured beyond the defaults. `ssh -G` prints a keyword in lower case, a blank and the value on each line.
fn known(configured: &str, defaults: &str) -> Known {
    let values = |text: &str, keyword: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.filter(|(word, _)| *word == keyword).map(|(_, value)| value.trim().to_owned()).collect()
    };
    let changed = |keyword: &str| {
        let value = values(configured, keyword);
        if value == values(defaults, keyword) { Vec::new() } else { value }
    };
    let one = |keyword: &str| changed(keyword).into_iter().next();
    let set = |value: &String| !value.eq_ignore_ascii_case("none");
    Known {
        address: one("hostname"),
        port: one("port").and_then(|port| port.parse().ok()),
        user: one("user"),
        identity_files: changed("identityfile").into_iter().filter(set).collect(),
        proxy_jump: one("proxyjump").filter(set),
        proxy_command: one("proxycommand").filter(set),
    }
}

/// The first identity file that is there, with `~` and `%d` as the home directory.
pub(super) fn existing_key(files: &[String], home: Option<&Path>) -> Option<PathBuf> {
    files.iter().filter_map(|file| expanded(file, home)).find(|path| path.is_file())
}

fn expanded(file: &str, home: Option<&Path>) -> Option<PathBuf> {
    let rest = file.strip_prefix("~/").or_else(|| file.strip_prefix("%d/"));
    let path = match rest {
        Some(rest) => home?.join(rest),
        None => PathBuf::from(file),
    };
    let is_absolute = path.is_absolute();
    // Other tokens depend on the connection.
    (is_absolute && !path.to_string_lossy().contains('%')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(user: Option<&str>, host: &str, port: Option<u16>) -> Target {
        Target { user: user.map(str::to_owned), host: host.to_owned(), port }
    }

    #[test]
    fn targets_are_read_as_ssh_users_write_them() {
        for (text, meant) in [
            ("web1", target(None, "web1", None)),
            ("me@web1.example.org:2222", target(Some("me"), "web1.example.org", Some(2222))),
            ("me@corp@web1", target(Some("me@corp"), "web1", None)),
            ("192.0.2.7:22", target(None, "192.0.2.7", Some(22))),
            ("2001:db8::7", target(None, "2001:db8::7", None)),
            ("[2001:db8::7]", target(None, "2001:db8::7", None)),
            ("me@[fe80::1%eth0]:2222", target(Some("me"), "fe80::1%eth0", Some(2222))),
        ] {
            assert_eq!(Target::parse(text).unwrap(), meant, "{text}");
        }
        for bad in [
            "",
            "@web1",
            "me@",
            "web1:",
            "web1:0",
            "web1:ssh",
            "web1:65536",
            "[::1",
            "[::1]x",
            "-oProxyCommand=x",
            "a b",
            "-l@h",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    const DEFAULTS: &str = "host web1\nuser me\nhostname web1\nport 22\naddressfamily any\n\
        identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ed25519\n";

    #[test]
    fn what_ssh_does_anyway_is_not_taken_for_configured() {
        assert_eq!(known(DEFAULTS, DEFAULTS), Known::default());
    }

    #[test]
    fn what_is_configured_is_found() {
        let configured = "host web1\nuser deploy\nhostname 192.0.2.7\nport 2222\nproxyjump bastion\n\
            identityfile ~/.ssh/id_ed25519\n";
        let known = known(configured, DEFAULTS);
        assert_eq!(
            (known.address.as_deref(), known.port, known.user.as_deref()),
            (Some("192.0.2.7"), Some(2222), Some("deploy"))
        );
        assert_eq!(known.identity_files, ["~/.ssh/id_ed25519"]);
        assert_eq!((known.proxy_jump.as_deref(), known.proxy_command), (Some("bastion"), None));
    }

    #[test]
    fn only_a_key_that_is_there_counts() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".ssh/web"), "").unwrap();
        let files: Vec<String> = ["~/.ssh/none", "%d/.ssh/%h", "relative", "~/.ssh/web"].map(str::to_owned).into();
        assert_eq!(existing_key(&files, Some(home.path())), Some(home.path().join(".ssh/web")));
        assert_eq!(existing_key(&files, None), None);
    }

    #[actix_rt::test]
    async fn no_ssh_is_no_fault_but_one_that_refuses_is() {
        let web1 = target(None, "web1", None);
        assert_eq!(ask(Path::new("/no/such/ssh"), &web1).await.unwrap(), None);
        let error = ask(Path::new("false"), &web1).await.unwrap_err().to_string();
        assert!(error.contains("web1") && error.contains("--no-ssh-config"), "{error}");
    }
}
