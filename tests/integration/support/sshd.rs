//! A real sshd of the test's own: on a free loopback port, with its own keys and configuration in a directory of its
//! own, gone with all its sessions when dropped.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// How the sshd is to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// `MaxSessions`.
    pub(crate) max_sessions: Option<u32>,
    /// The program that is to be the login shell; it gets what sshd would give it (`SHELL -c TEXT`).
    pub(crate) login_shell: Option<String>,
    /// Whether it has an RSA key too; it always has an Ed25519 one.
    pub(crate) rsa_host_key: bool,
    /// Whether it trusts the user certificates of an authority of its own ([`Sshd::certify`]).
    pub(crate) user_ca: bool,
    /// Further lines of sshd_config; they win over what is usual here.
    pub(crate) config: Vec<String>,
}

/// A running sshd.
pub(crate) struct Sshd {
    dir: TempDir,
    port: u16,
    child: Child,
}

impl Sshd {
    /// Starts one that is as sshd is by default.
    pub(crate) fn start() -> Self {
        Self::start_with(&Options::default())
    }

    /// Starts one.
    pub(crate) fn start_with(options: &Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        keygen("ed25519", &dir.path().join("host_key"));
        keygen("ed25519", &dir.path().join("client_key"));
        if options.rsa_host_key {
            keygen("rsa", &dir.path().join("host_key_rsa"));
        }
        if options.user_ca {
            keygen("ed25519", &dir.path().join("ca"));
        }
        std::fs::copy(dir.path().join("client_key.pub"), dir.path().join("authorized_keys")).unwrap();
        if is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        // The port is free when it is looked for; somebody else may take it before sshd does.
        for _ in 0..5 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            std::fs::write(dir.path().join("sshd_config"), config(dir.path(), port, options)).unwrap();
            if let Some(child) = spawn(dir.path()) {
                return Self { dir, port, child };
            }
        }
        panic!("sshd does not start: {}", std::fs::read_to_string(dir.path().join("log")).unwrap_or_default());
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The user to log in as: whoever runs the test.
    pub(crate) fn user(&self) -> String {
        user()
    }

    /// Its directory, for files of the test.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The private key that may log in.
    pub(crate) fn client_key(&self) -> PathBuf {
        self.dir.path().join("client_key")
    }

    /// The host's public key, as one line.
    pub(crate) fn host_key(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("host_key.pub")).unwrap()
    }

    /// The host's public RSA key, as one line.
    pub(crate) fn rsa_host_key(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("host_key_rsa.pub")).unwrap()
    }

    /// Certifies a key by the authority that it trusts: `args` are further ones of ssh-keygen. The certificate, which
    /// also stands beside the key.
    pub(crate) fn certify(&self, key: &Path, args: &[&str]) -> String {
        let public = key.with_extension("pub");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-I", "test", "-s"]).arg(self.dir().join("ca")).args(args).arg(&public);
        assert!(keygen.status().unwrap().success());
        let mut beside = key.as_os_str().to_owned();
        beside.push("-cert.pub");
        std::fs::read_to_string(beside).unwrap()
    }

    /// Runs an agent with these keys for as long as `with` takes, which gets its socket.
    pub(crate) fn with_agent(&self, keys: &[&Path], with: impl FnOnce(&Path)) {
        let socket = self.dir().join("agent");
        let mut agent = Command::new("ssh-agent");
        let _agent = Ended(agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap());
        while !socket.exists() {
            pause();
        }
        for key in keys {
            let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).status();
            assert!(added.unwrap().success());
        }
        with(&socket);
        std::fs::remove_file(&socket).unwrap();
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// How many logins with a key it has let in.
    pub(crate) fn logins(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// How many logins were tried, let in or not: what a client that distrusts the host must never do.
    pub(crate) fn login_attempts(&self) -> usize {
        let tries = ["Accepted ", "Failed ", "Postponed ", "userauth-request for user"];
        self.log().lines().filter(|line| tries.iter().any(|this| line.contains(this))).count()
    }

    /// Ends it at once, with its connections; commands that run are left alone.
    pub(crate) fn kill(&mut self) {
        signal("KILL", &self.daemons());
        let _ = self.child.wait();
    }

    /// Ends its connections at once, without a goodbye; new ones are taken.
    pub(crate) fn cut_connections(&self) {
        let connections: Vec<u32> = self.daemons().into_iter().filter(|pid| *pid != self.child.id()).collect();
        signal("KILL", &connections);
    }

    /// Makes it hang: connections stay open and nothing is answered.
    pub(crate) fn freeze(&self) {
        signal("STOP", &self.daemons());
    }

    /// Ends [`Self::freeze`].
    pub(crate) fn thaw(&self) {
        signal("CONT", &self.daemons());
    }

    /// Starts it again on the same port, after [`Self::kill`].
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.child = spawn(self.dir.path()).unwrap_or_else(|| panic!("sshd does not start again: {}", self.log()));
    }

    /// Starts it again with another host key.
    pub(crate) fn restart_with_new_host_key(&mut self) {
        std::fs::remove_file(self.dir.path().join("host_key")).unwrap();
        std::fs::remove_file(self.dir.path().join("host_key.pub")).unwrap();
        keygen("ed25519", &self.dir.path().join("host_key"));
        self.restart();
    }

    /// Ends the listener alone, so that its connections live on, and starts another with another host key.
    pub(crate) fn replace_listener_with_new_host_key(&mut self) {
        signal("KILL", &[self.child.id()]);
        let _ = self.child.wait();
        std::fs::remove_file(self.dir.path().join("host_key")).unwrap();
        std::fs::remove_file(self.dir.path().join("host_key.pub")).unwrap();
        keygen("ed25519", &self.dir.path().join("host_key"));
        self.child = spawn(self.dir.path()).unwrap_or_else(|| panic!("sshd does not start again: {}", self.log()));
    }

    /// The daemon and its processes that serve connections.
    fn daemons(&self) -> Vec<u32> {
        let mut all = vec![self.child.id()];
        all.extend(
            descendants(self.child.id()).into_iter().filter(|(_, name)| name.starts_with("sshd")).map(|it| it.0),
        );
        all
    }
}

/// A program that is ended when dropped, also by a test that fails.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let mut all: Vec<u32> = descendants(self.child.id()).into_iter().map(|it| it.0).collect();
        all.push(self.child.id());
        signal("KILL", &all);
        let _ = self.child.wait();
    }
}

fn config(dir: &Path, port: u16, options: &Options) -> String {
    let dir = dir.display();
    // Of two lines for the same thing sshd takes the first: the test's own.
    let mut lines = options.config.clone();
    lines.extend([
        format!("ListenAddress 127.0.0.1:{port}"),
        format!("HostKey {dir}/host_key"),
        format!("AuthorizedKeysFile {dir}/authorized_keys"),
        format!("PidFile {dir}/pid"),
        "LogLevel VERBOSE".to_owned(),
        // Nothing of the user's own set-up, such as ~/.bashrc, is to have a say in a test.
        format!("SetEnv HOME={dir}"),
        "StrictModes no".to_owned(),
        "UsePAM no".to_owned(),
        "UseDNS no".to_owned(),
        "PermitRootLogin yes".to_owned(),
        "MaxStartups 1000".to_owned(),
    ]);
    if options.rsa_host_key {
        lines.push(format!("HostKey {dir}/host_key_rsa"));
    }
    if options.user_ca {
        lines.push(format!("TrustedUserCAKeys {dir}/ca.pub"));
    }
    lines.extend(options.max_sessions.map(|most| format!("MaxSessions {most}")));
    lines.extend(
        options.login_shell.iter().map(|shell| format!("ForceCommand exec {shell} -c \"$SSH_ORIGINAL_COMMAND\"")),
    );
    lines.join("\n") + "\n"
}

/// Starts it and waits, up to 10 s, until it listens; none if it has ended instead.
fn spawn(dir: &Path) -> Option<Child> {
    let listening = || std::fs::read_to_string(dir.join("log")).unwrap_or_default().matches("Server listening").count();
    let before = listening();
    // sshd insists on being called by its full path.
    let mut child = Command::new("/usr/sbin/sshd")
        .arg("-D")
        .arg("-f")
        .arg(dir.join("sshd_config"))
        .arg("-E")
        .arg(dir.join("log"))
        .stdin(Stdio::null())
        .spawn()
        .expect("these tests need /usr/sbin/sshd (Debian: openssh-server)");
    for _ in 0..1000 {
        if listening() > before {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        pause();
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// A moment between two looks at a condition.
pub(crate) fn pause() {
    let _ = Command::new("sleep").arg("0.01").status();
}

fn keygen(kind: &str, path: &Path) {
    let done = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", "", "-C", "test", "-f"]).arg(path).status();
    assert!(done.unwrap().success(), "ssh-keygen failed");
}

/// Who runs the test.
pub(crate) fn user() -> String {
    let out = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn is_root() -> bool {
    user() == "root"
}

fn signal(name: &str, pids: &[u32]) {
    let pids = pids.iter().map(u32::to_string);
    // Some may be gone already, which is no failure.
    let _ = Command::new("kill").arg(format!("-{name}")).arg("--").args(pids).stderr(Stdio::null()).status();
}

/// All processes below one, with their names.
pub(crate) fn descendants(root: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let parent = stat[close + 1..].split_whitespace().nth(1).and_then(|word| word.parse::<u32>().ok());
        all.push((pid, parent.unwrap_or(0), stat[open + 1..close].to_owned()));
    }
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut at = vec![root];
    while let Some(parent) = at.pop() {
        for (pid, _, name) in all.iter().filter(|(_, above, _)| *above == parent) {
            at.push(*pid);
            found.push((*pid, name.clone()));
        }
    }
    found
}
