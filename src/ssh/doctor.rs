//! Looks a host over, step by step, over a connection of its own: what works, what does not, and what helps.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{ConnectError, Connector, Exec, KeyStanding, Session, Target, explain, remote_checks};
use crate::clock::Clock;
use crate::model::{HostKeyPolicy, SecretText};

/// How long all of it may take.
const WHOLE: Duration = Duration::from_secs(50);
/// How long a name may take to resolve, and a port to answer.
const KNOCK: Duration = Duration::from_secs(10);

/// What is looked at, in this order.
const CHECKS: [Check; 9] = [
    Check::Resolve,
    Check::Connect,
    Check::HostKey,
    Check::Login,
    Check::Shell,
    Check::Sessions,
    Check::Clock,
    Check::Sudo,
    Check::Proc,
];

/// Something that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Whether its address resolves.
    Resolve,
    /// Whether its port answers, and how fast.
    Connect,
    /// Whether the key it shows is to be trusted.
    HostKey,
    /// Whether it lets us in.
    Login,
    /// Whether its login shell runs commands, fast and in silence.
    Shell,
    /// How many sessions its sshd allows at once.
    Sessions,
    /// Whether its clock is right.
    Clock,
    /// Whether the user may run commands as another one.
    Sudo,
    /// Whether processes can be looked for.
    Proc,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Runs work, but something is not as good as it could be.
    Warning,
    /// Runs do not work.
    Failed,
    /// Not looked at.
    Skipped,
}

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// What came of it.
    pub verdict: Verdict,
    /// What was found, in one line.
    pub detail: String,
    /// What to do about it, in one line.
    pub remedy: Option<String>,
}

impl Finding {
    /// With a remedy.
    pub fn new(check: Check, verdict: Verdict, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, verdict, detail: detail.into(), remedy: Some(remedy.into()) }
    }

    /// Where nothing is to be done.
    pub fn fine(check: Check, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), remedy: None }
    }

    fn skipped(check: Check, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Skipped, detail: detail.into(), remedy: None }
    }
}

/// What the host is expected to do, beside letting us in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The sessions at once that its definition counts on.
    pub max_sessions: u32,
    /// The users that its tasks run as, by sudo.
    pub run_as: Vec<String>,
    /// What sudo is told if it asks.
    pub sudo_password: Option<SecretText>,
}

/// Looks a host over; one finding for each check, in order, within a minute.
pub(super) async fn examine(
    connector: &dyn Connector,
    clock: &Clock,
    target: Target,
    expected: Expected,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut session = None;
    let steps = steps(connector, clock, &target, &expected, &mut findings, &mut session);
    let in_time = timeout(WHOLE, steps).await.is_ok();
    if let Some(session) = session {
        session.close().await;
    }
    if !in_time && let Some(check) = CHECKS.get(findings.len()) {
        let detail = format!("no end of this within the {} s that all checks have", WHOLE.as_secs());
        let remedy = "see whether the host hangs: log in by hand";
        findings.push(Finding::new(*check, Verdict::Failed, detail, remedy));
    }
    let failed = findings.iter().rfind(|finding| finding.verdict == Verdict::Failed).map(|finding| finding.check);
    if let Some(failed) = failed {
        let why = format!("not looked at, because {} failed", failed.word());
        findings.extend(CHECKS.into_iter().skip(findings.len()).map(|check| Finding::skipped(check, why.clone())));
    }
    findings.iter_mut().for_each(Finding::flatten);
    findings
}

impl Check {
    /// As people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::HostKey => "host key",
            Self::Login => "login",
            Self::Shell => "shell",
            Self::Sessions => "sessions",
            Self::Clock => "clock",
            Self::Sudo => "sudo",
            Self::Proc => "/proc",
        }
    }
}

impl Finding {
    fn flatten(&mut self) {
        self.detail = explain::in_one_line(&self.detail);
        self.remedy = self.remedy.take().map(|remedy| explain::in_one_line(&remedy));
    }
}

/// Goes from check to check, until one fails that the others depend on.
async fn steps(
    connector: &dyn Connector,
    clock: &Clock,
    target: &Target,
    expected: &Expected,
    findings: &mut Vec<Finding>,
    open: &mut Option<Arc<dyn Session>>,
) {
    match &target.via {
        Some(via) => {
            findings.push(Finding::skipped(Check::Resolve, format!("the jump host {} resolves it", via.host)));
            findings.push(Finding::skipped(Check::Connect, format!("it is reached through {}", via.host)));
        }
        None => {
            let Some(addresses) = resolve(target, findings).await else { return };
            findings.push(knock(target, &addresses).await);
        }
    }
    if has_failed(findings) {
        return;
    }
    findings.push(host_key(connector, target).await);
    if has_failed(findings) {
        return;
    }
    let began = Instant::now();
    let session = match connector.connect(target.clone()).await {
        Ok(connected) => connected.session,
        Err(error) => {
            let remedy = match error {
                ConnectError::Auth { .. } => {
                    "see that user and credential of the host are right, and that it knows the key"
                }
                ConnectError::HostKey { .. } => "see alf host trust",
                ConnectError::Unreachable { .. } => "see sshd's own log on the host, and its MaxStartups",
            };
            findings.push(Finding::new(Check::Login, Verdict::Failed, error.to_string(), remedy));
            return;
        }
    };
    *open = Some(Arc::clone(&session));
    let took = began.elapsed();
    findings.push(Finding::fine(Check::Login, format!("logged in as \"{}\" in {}", target.user, short(took))));
    if let Some(finding) = remote_checks::no_session(&session).await {
        findings.push(Finding::skipped(Check::Shell, "not looked at, because sessions failed"));
        findings.push(finding);
        return;
    }
    findings.push(remote_checks::shell(&session, target).await);
    if has_failed(findings) {
        return;
    }
    findings.push(remote_checks::sessions(&session, expected.max_sessions).await);
    findings.push(remote_checks::clock(&session, clock).await);
    findings.push(remote_checks::sudo(&session, target, expected).await);
    findings.push(remote_checks::proc(&session, target).await);
}

fn has_failed(findings: &[Finding]) -> bool {
    findings.last().is_some_and(|finding| finding.verdict == Verdict::Failed)
}

async fn resolve(target: &Target, findings: &mut Vec<Finding>) -> Option<Vec<SocketAddr>> {
    let address = target.address.as_str();
    let failed = |detail: String| {
        let remedy = "see that the host's address is right, and that this machine resolves it: getent hosts ADDRESS";
        Finding::new(Check::Resolve, Verdict::Failed, detail, remedy.replace("ADDRESS", address))
    };
    let began = Instant::now();
    let finding = match timeout(KNOCK, tokio::net::lookup_host((address, target.port))).await {
        Ok(Ok(found)) => {
            let found: Vec<SocketAddr> = found.collect();
            if !found.is_empty() {
                let ips: Vec<String> = found.iter().map(|at| at.ip().to_string()).collect();
                let detail = format!("\"{address}\" is {}, in {}", ips.join(", "), short(began.elapsed()));
                findings.push(Finding::fine(Check::Resolve, detail));
                return Some(found);
            }
            failed(format!("\"{address}\" has no address"))
        }
        Ok(Err(error)) => failed(explain::unresolved(address, &error)),
        Err(_) => failed(format!("cannot resolve \"{address}\": no answer within {KNOCK:?}")),
    };
    findings.push(finding);
    None
}

/// Connects by TCP to the first address that answers, and reads the line that an SSH server says first (RFC 4253
/// section 4.2).
async fn knock(target: &Target, addresses: &[SocketAddr]) -> Finding {
    let mut why = String::new();
    for at in addresses {
        let began = Instant::now();
        match timeout(KNOCK / addresses.len().clamp(1, 3) as u32, TcpStream::connect(at)).await {
            Ok(Ok(mut stream)) => {
                let round_trip = short(began.elapsed());
                return match greeting(&mut stream).await {
                    Some(server) if server.starts_with("SSH-") => {
                        Finding::fine(Check::Connect, format!("{at} answers in {round_trip}: {server}"))
                    }
                    said => Finding::new(
                        Check::Connect,
                        Verdict::Failed,
                        match said {
                            Some(said) => format!("{at} answers, but not as an SSH server: it says \"{said}\""),
                            None => format!("{at} takes the connection and says nothing, or closes it"),
                        },
                        "see that the port is sshd's, that sshd is not overloaded (MaxStartups), and that nothing in \
                         between refuses this machine",
                    ),
                };
            }
            Ok(Err(error)) => why = explain::network(&at.to_string(), &error),
            Err(_) => why = format!("no answer from {at}"),
        }
    }
    let remedy =
        format!("see that sshd runs there and listens on port {}, and that no firewall is in between", target.port);
    Finding::new(Check::Connect, Verdict::Failed, why, remedy)
}

async fn greeting(stream: &mut TcpStream) -> Option<String> {
    let mut said = Vec::new();
    let line = async {
        while said.len() < 255 && !said.contains(&b'\n') {
            if stream.read_buf(&mut said).await.ok()? == 0 {
                break;
            }
        }
        Some(())
    };
    let _ = timeout(KNOCK, line).await;
    let text = String::from_utf8_lossy(&said).into_owned();
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

async fn host_key(connector: &dyn Connector, target: &Target) -> Finding {
    let host = &target.host;
    let offered = match connector.offered_key(target.clone()).await {
        Ok(offered) => offered,
        Err(error) => {
            let remedy = match &target.via {
                Some(via) => format!(
                    "see that address and port of the host are right as {0} sees them, and that sshd of {0} lets \
                     connections through (AllowTcpForwarding, PermitOpen): alf exec {0} -- nc -z {1} {2}",
                    via.host, target.address, target.port
                ),
                None => "see sshd's own log on the host; a key file in ssh.known_hosts must be readable".to_owned(),
            };
            return Finding::new(Check::HostKey, Verdict::Failed, error.to_string(), remedy);
        }
    };
    let (algorithm, fingerprint) = (offered.key.algorithm(), offered.key.fingerprint());
    let trust = format!("compare it with the host itself, then: alf host trust {host} --expect {fingerprint}");
    match offered.standing {
        KeyStanding::Recorded => Finding::fine(Check::HostKey, format!("{algorithm} {fingerprint} is recorded")),
        KeyStanding::Unknown => {
            let verdict = if target.policy == HostKeyPolicy::Strict { Verdict::Failed } else { Verdict::Warning };
            let detail = format!("{algorithm} {fingerprint} is not recorded");
            let learnt = if verdict == Verdict::Warning { "; it is learnt when a run first connects" } else { "" };
            Finding::new(Check::HostKey, verdict, detail + learnt, trust)
        }
        KeyStanding::Changed { recorded, source } => {
            let known: Vec<String> = recorded.iter().map(|key| key.fingerprint()).collect();
            let detail = format!("it shows {algorithm} {fingerprint}, recorded in {source} is {}", known.join(" and "));
            let remedy = format!("was the host installed anew? {trust}; otherwise somebody may be listening");
            Finding::new(Check::HostKey, Verdict::Failed, detail, remedy)
        }
        KeyStanding::Revoked => {
            let detail = format!("{algorithm} {fingerprint} is revoked in a known_hosts file");
            Finding::new(
                Check::HostKey,
                Verdict::Failed,
                detail,
                "give the host a new key (ssh-keygen -A), then trust that one",
            )
        }
    }
}

/// A duration for people.
pub(super) fn short(took: Duration) -> String {
    match took.as_secs_f64() * 1000.0 {
        millis if millis < 10.0 => format!("{millis:.1} ms"),
        millis if millis < 10_000.0 => format!("{millis:.0} ms"),
        millis => format!("{:.1} s", millis / 1000.0),
    }
}

/// A small command of a check.
pub(super) fn small(command: &str, cancel: &CancellationToken) -> Exec {
    Exec {
        timeout: Some(KNOCK),
        kill_grace: Duration::from_secs(1),
        output: super::output::LiveOutput::new(4096),
        cancel: cancel.clone(),
        ..Exec::command(format!("doctor-{:016x}", rand::random::<u64>()), command)
    }
}
