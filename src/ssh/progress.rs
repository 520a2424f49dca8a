//! How far a run has come: what the host's messages, its time and its kill make of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf, Sig};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::explain;
use super::gate::{Gate, Passed};
use super::kill::{self, Prey};
use super::output::Stream;
use super::remote::{self, Delivery, Missing};
use super::run::NeedsProgram;
use super::session::{Link, Lost};
use super::sudo::{self, Ears, Heard};
use super::{End, Ending, Exec, KillReport};

/// How long a command's output may be silent after its end before the rest of it is not waited for: a child left
/// behind in the background holds the session open for as long as it lives.
const QUIET: Duration = Duration::from_millis(250);

/// How long output is taken at most after the command's end.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How long the host may take to say that a command that was killed is over.
const SETTLE: Duration = Duration::from_secs(1);

/// Bytes of a header that a slow line brings in a second.
const SLOW_LINE: u64 = 16 * 1024;

/// The streams, by their index here.
const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

pub(super) type Writer = Arc<ChannelWriteHalf<Msg>>;
pub(super) type KillTask = Pin<Box<dyn Future<Output = KillReport> + Send>>;

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The host has not yet said that it runs the command.
    Asked,
    /// It runs.
    Running,
    /// It is being killed.
    Killing,
    /// The kill is done, but the host has not said that the command is over; sshd was asked to send this signal.
    Lingering { until: Instant, asked: Option<&'static str> },
    /// It has ended; the rest of its output may still come.
    Ended { at: Instant },
}

/// Why nothing more is heard of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// The host closed it.
    ByHost,
    /// It is given up.
    ByUs,
    /// The host would not run the command.
    Refused,
    /// The login shell talks without end.
    Noise,
    /// The connection has ended.
    Lost,
}

/// The state of one run.
pub(super) struct Run {
    pub(super) link: Arc<Link>,
    pub(super) exec: Exec,
    phase: Phase,
    asked_at: Instant,
    begun_at: Instant,
    started_at: Option<DateTime<Utc>>,
    /// When the command was sent, if it starts without being told to go: from then on it may have started.
    sent_at: Option<DateTime<Utc>>,
    /// The first process of the session, if the remote side could say so.
    leader: Option<u32>,
    gates: [Gate; 2],
    ears: Ears,
    /// The header's word for why it could not go on.
    refusal: Option<String>,
    /// How long the host may take to be ready.
    patience: Duration,
    last_heard: Instant,
    /// When the connection was found gone; what the host said before may still be on its way to us.
    pub(super) lost_at: Option<Instant>,
    /// How long to wait for the rest of the output.
    quiet: Duration,
    /// How the command ended by the host's word.
    status: Option<End>,
    /// Why it was killed.
    stopped: Option<End>,
    pub(super) killing: Option<KillTask>,
    kill: Option<KillReport>,
    /// Nothing more comes.
    pub(super) closed: Option<Closed>,
}

impl Run {
    /// One that is about to be sent; `tell` hears what has to be answered.
    pub(super) fn new(
        link: Arc<Link>,
        exec: Exec,
        delivery: &Delivery,
        token: &str,
        tell: UnboundedSender<Heard>,
    ) -> Self {
        let gate = || if delivery.header.is_some() { Gate::shut(token) } else { Gate::opened() };
        let now = Instant::now();
        let header = delivery.header.as_ref().map_or(0, |header| header.len() as u64);
        Self {
            phase: Phase::Asked,
            asked_at: now,
            begun_at: now,
            started_at: None,
            sent_at: delivery.header.is_none().then(|| link.clock.now()),
            leader: None,
            gates: [gate(), gate()],
            ears: Ears::new(delivery.dialogue.clone(), tell),
            refusal: None,
            patience: link.limits.login + Duration::from_secs(header / SLOW_LINE),
            last_heard: now,
            lost_at: None,
            quiet: QUIET,
            status: None,
            stopped: None,
            killing: None,
            kill: None,
            closed: None,
            link,
            exec,
        }
    }

    /// Takes a message of the host; none means that the connection has ended.
    pub(super) fn hear(&mut self, message: Option<ChannelMsg>) {
        self.last_heard = Instant::now();
        if message.is_some() {
            self.link.note_heard();
        }
        match message {
            Some(ChannelMsg::Data { data }) => self.take(0, &data),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.take(1, &data),
            Some(ChannelMsg::Success) if self.gates[0].is_open() => self.begin(None),
            Some(ChannelMsg::Failure) => self.close(Closed::Refused),
            Some(ChannelMsg::ExitStatus { exit_status }) => self.ended(End::Exited(exit_status.cast_signed())),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => self.ended(End::Signaled(signal(signal_name))),
            Some(ChannelMsg::Close) => self.close(Closed::ByHost),
            Some(_) => {}
            None => {
                self.link.note_lost(Lost::Closed);
                self.close(Closed::Lost);
            }
        }
    }

    fn take(&mut self, stream: usize, data: &[u8]) {
        match self.gates[stream].pass(data) {
            Passed::Nothing if self.gates[stream].overrun() => self.close(Closed::Noise),
            Passed::Nothing => self.ears.hear(stream, data),
            Passed::Refused(word) => self.refusal = Some(word),
            Passed::All(data) => self.exec.output.push(STREAMS[stream], data),
            Passed::Ready(leader, first) => {
                self.exec.output.push(STREAMS[stream], &first);
                if stream == 0 && self.phase == Phase::Asked {
                    self.ears.ready();
                    self.begin(leader);
                }
            }
        }
    }

    fn begin(&mut self, leader: Option<u32>) {
        if self.phase == Phase::Asked {
            self.phase = Phase::Running;
        }
        self.begun_at = Instant::now();
        self.started_at = Some(self.link.clock.now());
        self.leader = leader;
        // On a slow line the rest of the output takes as long as anything else.
        self.quiet = QUIET.max(self.asked_at.elapsed() * 2).min(AFTERMATH);
    }

    /// The host has said how the command ended.
    fn ended(&mut self, end: End) {
        self.status = Some(end);
        if self.phase != Phase::Killing {
            self.phase = Phase::Ended { at: Instant::now() };
        }
    }

    /// When the phase is over even if nothing is heard.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.closed.is_some() {
            return None;
        }
        if let Some(at) = self.lost_at {
            return Some(at + QUIET);
        }
        match self.phase {
            Phase::Asked => Some(self.asked_at + self.patience),
            Phase::Running => self.exec.timeout.map(|timeout| self.begun_at + timeout),
            Phase::Killing => None,
            Phase::Lingering { until, .. } => Some(until),
            Phase::Ended { at } => Some((self.last_heard + self.quiet).min(at + AFTERMATH)),
        }
    }

    pub(super) fn deadline_passed(&mut self, writer: &Writer) {
        let now = Instant::now();
        if self.lost_at.is_some() {
            return self.close(Closed::Lost);
        }
        match self.phase {
            Phase::Running => self.stop(End::TimedOut),
            // The last resort: sshd itself signals the session, if it can.
            Phase::Lingering { asked: None, .. } => {
                signal_session(writer, Sig::TERM);
                self.phase = Phase::Lingering { until: now + self.exec.kill_grace, asked: Some("TERM") };
            }
            Phase::Lingering { asked: Some("TERM"), .. } => {
                signal_session(writer, Sig::KILL);
                self.phase = Phase::Lingering { until: now + AFTERMATH, asked: Some("KILL") };
            }
            // Sent and never confirmed: what may have started there is not left behind.
            Phase::Asked if self.sent_at.is_some() => {
                let (place, limit) = (&self.link.place, self.patience);
                self.stop(End::Setup(format!("{place} did not confirm the command within {limit:?}")));
            }
            Phase::Asked | Phase::Lingering { .. } | Phase::Ended { .. } => self.close(Closed::ByUs),
            Phase::Killing => {}
        }
    }

    pub(super) fn may_stop(&self) -> bool {
        self.closed.is_none() && self.lost_at.is_none() && matches!(self.phase, Phase::Asked | Phase::Running)
    }

    pub(super) fn stop(&mut self, why: End) {
        self.stopped = Some(why);
        if !self.gates[0].is_open() {
            // It was not told to go, so it never starts.
            return self.close(Closed::ByUs);
        }
        self.phase = Phase::Killing;
        let prey = Prey {
            run: self.exec.run.clone(),
            leader: self.leader,
            run_as: self.exec.run_as.clone(),
            grace: self.exec.kill_grace,
            looked_for: None,
        };
        self.killing = Some(Box::pin(kill::kill(Arc::clone(&self.link), prey)));
    }

    pub(super) fn killed(&mut self, killed: KillReport) {
        self.killing = None;
        self.kill = Some(killed);
        let now = Instant::now();
        self.phase = match self.status {
            Some(_) => Phase::Ended { at: now },
            None => Phase::Lingering { until: now + SETTLE, asked: None },
        };
    }

    fn close(&mut self, how: Closed) {
        self.closed.get_or_insert(how);
    }

    pub(super) fn over(&self) -> bool {
        self.closed.is_some() && self.killing.is_none()
    }

    /// The answer. Nothing of the session is needed any more.
    pub(super) fn finish(self) -> Result<Ending, NeedsProgram> {
        let end = match self.missing() {
            Some(Missing::Program) => return Err(NeedsProgram),
            Some(Missing::Other(detail)) => End::Setup(detail),
            None => self.end(),
        };
        if matches!(end, End::Setup(_)) {
            // What the login shell said instead is all there is to see.
            for (stream, gate) in STREAMS.into_iter().zip(&self.gates) {
                self.exec.output.push(stream, &self.ears.without_signs(gate.noise()));
            }
        }
        let kill = self.kill.map(|mut kill| {
            if let Phase::Lingering { .. } = self.phase
                && self.closed == Some(Closed::ByUs)
            {
                kill.gone = kill.gone.filter(|gone| !gone);
                kill.detail.push_str("; the host has not said that the command is over");
            } else if kill.gone.is_none() && self.status.is_some() {
                kill.detail.push_str("; the host says that the command is over");
            }
            kill
        });
        let never = matches!(self.closed, Some(Closed::Refused));
        let started_at = self.started_at.or(self.sent_at.filter(|_| !never));
        let [stdout, stderr] = self.exec.output.finish();
        let finished_at = self.link.clock.now();
        Ok(Ending { started_at, finished_at, end, stdout, stderr, kill, leader: self.leader })
    }

    /// What the header found missing, with what the tool in question said about it.
    fn missing(&self) -> Option<Missing> {
        let word = self.refusal.as_ref().filter(|_| self.stopped.is_none())?;
        Some(match remote::missing(&self.exec, word, &self.link.place) {
            Missing::Other(detail) => Missing::Other(match sudo::words(self.gates[1].noise()) {
                Some(said) if word == "file" => format!("{detail}: {said}"),
                _ => detail,
            }),
            program => program,
        })
    }

    fn end(&self) -> End {
        if let Some(stopped) = &self.stopped {
            return stopped.clone();
        }
        let place = &self.link.place;
        match (self.closed, &self.status) {
            (Some(Closed::Refused), _) => End::Refused(format!("{place} refused to run a command")),
            (Some(Closed::Noise), _) => {
                End::Setup(format!("the login shell at {place} wrote without end before /bin/sh was ready"))
            }
            (_, Some(status)) if self.gates[0].is_open() => status.clone(),
            (_, Some(status)) if self.exec.run_as.is_some() => End::Setup(self.not_by_sudo(status)),
            (_, Some(status)) => End::Setup(format!(
                "the login shell at {place} {} before /bin/sh was ready{}",
                in_words(status),
                self.gates.iter().find_map(first_line).map(|said| format!(": {said}")).unwrap_or_default()
            )),
            (Some(Closed::Lost), None) => End::ConnectionLost(self.link.lost_cause()),
            // What became of a command that had begun is not known.
            (Some(Closed::ByHost), None) if self.started_at.is_some() => {
                End::ConnectionLost(format!("{place} ended the session without an exit status"))
            }
            (Some(Closed::ByHost), None) => End::Refused(format!("{place} ended the session before the command began")),
            (_, None) => End::Setup(format!("the login shell at {place} was not ready within {:?}", self.patience)),
        }
    }

    fn not_by_sudo(&self, status: &End) -> String {
        let user = self.exec.run_as.as_ref().map_or("", |run_as| &run_as.user);
        let why = if self.ears.refused() { "it did not take the password" } else { "it refused" };
        let said = self.gates.each_ref().map(|gate| sudo::words(&self.ears.without_signs(gate.noise())));
        let said = said.into_iter().rev().flatten().next();
        let place = &self.link.place;
        format!("sudo at {place} did not run it as {user}: {why} ({})", said.unwrap_or_else(|| in_words(status)))
    }
}

fn in_words(end: &End) -> String {
    match end {
        End::Exited(code) => format!("ended with exit code {code}"),
        End::Signaled(signal) => format!("was ended by signal {signal}"),
        _ => "ended".to_owned(),
    }
}

/// The first line a login shell said, fit for a message.
fn first_line(gate: &Gate) -> Option<String> {
    let text = String::from_utf8_lossy(&gate.noise()[..gate.noise().len().min(1000)]).into_owned();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(200).map(explain::harmless).collect())
}

fn signal_session(writer: &Writer, signal: Sig) {
    let writer = Arc::clone(writer);
    tokio::spawn(async move {
        let _ = writer.signal(signal).await;
    });
}

/// A signal's name without `SIG`; OpenSSH has names of its own for some, such as `SYS@openssh.com`.
fn signal(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => {
            let name = name.split('@').next().unwrap_or_default();
            name.chars().filter(char::is_ascii_alphanumeric).take(20).collect()
        }
        known => format!("{known:?}"),
    }
}
