//! What a task that an Action fires finds in its environment: Alf's own names, and the macros of Nagios under the names
//! that its notification scripts read (`NAGIOS_…`).
//!
//! <https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/macrolist.html>

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};

use super::nagios::{Metric, text_of};
use super::{
    AnyState, Contact, Host, HostState, HostStatus, Labels, Name, NoticeKind, Plugin, RunResult, State, StatusRow,
    Task, Timestamp,
};

/// Longest value of a variable, in bytes: a kernel takes no more than twice as much.
const LONGEST: usize = 65_536;
/// How many other addresses of a contact Nagios knows.
const ADDRESSES: usize = 6;
/// Macros of Nagios that scripts read and Alf has nothing for: empty, as Nagios has them where nothing is defined.
const EMPTY: [&str; 12] = [
    "HOSTACTIONURL",
    "HOSTGROUPNAME",
    "HOSTGROUPNAMES",
    "HOSTNOTESURL",
    "HOSTPERFDATA",
    "LONGHOSTOUTPUT",
    "NOTIFICATIONAUTHOR",
    "NOTIFICATIONCOMMENT",
    "SERVICEACTIONURL",
    "SERVICEGROUPNAME",
    "SERVICEGROUPNAMES",
    "SERVICENOTESURL",
];

/// What a notification is of.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'a> {
    /// What it tells.
    pub kind: NoticeKind,
    /// The Action that tells it.
    pub action: &'a Name,
    /// The state it tells of.
    pub state: Option<AnyState>,
    /// Where.
    pub host: &'a Host,
    /// How the host stands.
    pub host_status: &'a HostStatus,
    /// Of which task; none for the host itself.
    pub task: Option<&'a Task>,
    /// How the pair stands, if it is linked.
    pub pair: Option<&'a StatusRow>,
    /// The Result that tells of it, or the newest one.
    pub result: Option<&'a RunResult>,
    /// What has happened, where that is not what the Result says.
    pub says: Option<&'a str>,
    /// Who is told.
    pub contact: Option<&'a Contact>,
    /// All who are told.
    pub recipients: &'a [Name],
    /// Which notification of the same PROBLEM this is.
    pub number: u32,
    /// Now.
    pub at: Timestamp,
}

impl Occasion<'_> {
    /// All variables.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut all = Variables::default();
        EMPTY.iter().for_each(|name| all.nagios(name, ""));
        self.alf(&mut all);
        self.of_host(&mut all);
        if let Some(task) = self.task {
            self.of_task(task, &mut all);
        } else {
            all.nagios("SERVICEDESC", "");
        }
        self.of_notification(&mut all);
        self.of_contact(&mut all);
        all.0
    }

    /// One line that says what has happened.
    pub fn message(&self) -> &str {
        let of_result = || self.result.map(|result| result.message.as_str());
        let of_host = || self.host_status.message.as_deref().filter(|_| self.task.is_none());
        self.says.or_else(of_result).or_else(of_host).unwrap_or_default()
    }

    fn alf(&self, all: &mut Variables) {
        all.alf("ACTION", self.action);
        all.alf("NOTIFICATION", self.kind);
        all.alf("EVENT_HOST", &self.host.meta.name);
        all.alf("EVENT_TASK", self.task.map_or("", |task| task.meta.name.as_str()));
        all.alf("EVENT_STATE", self.state.map(|state| state.to_string()).unwrap_or_default());
        all.alf("EVENT_MESSAGE", self.message());
        all.alf("CONTACT", self.contact.map_or("", |contact| contact.meta.name.as_str()));
        if let Some(result) = self.result {
            all.alf("RESULT_ID", result.id);
            all.alf("RESULT_OUTCOME", result.outcome);
            all.alf("RESULT_REASON", result.reason.map(|reason| reason.to_string()).unwrap_or_default());
            all.alf("RESULT_EXIT_CODE", result.exit_code.map(|code| code.to_string()).unwrap_or_default());
        }
    }

    fn of_host(&self, all: &mut Variables) {
        let (host, status) = (self.host, self.host_status);
        // Nagios knows no state before the first check: it takes a host for UP.
        let now = status.state.unwrap_or(HostState::Up);
        let state = match self.state {
            Some(AnyState::Host(told)) => told,
            _ => now,
        };
        all.nagios("HOSTNAME", &host.meta.name);
        all.nagios("HOSTDISPLAYNAME", host.meta.title());
        all.nagios("HOSTALIAS", host.meta.title());
        all.nagios("HOSTADDRESS", host.address());
        all.nagios("HOSTNOTES", &host.meta.description);
        all.nagios("HOSTSTATE", AnyState::Host(state));
        all.nagios("HOSTSTATEID", host_number(state));
        all.nagios("HOSTSTATETYPE", state_type(status.hard || status.state.is_none()));
        all.nagios("HOSTATTEMPT", status.attempt.max(1));
        all.nagios("MAXHOSTATTEMPTS", host.max_attempts);
        all.nagios("HOSTOUTPUT", status.message.as_deref().unwrap_or_default());
        all.nagios("HOSTDOWNTIME", u8::from(status.in_downtime));
        self.since("HOST", status.since, all);
        if let Some(ack) = &status.ack {
            all.nagios("HOSTACKAUTHOR", ack.by.as_ref().map_or("", Name::as_str));
            all.nagios("HOSTACKCOMMENT", &ack.comment);
        }
        all.labels("_HOST", &host.meta.labels);
    }

    fn of_task(&self, task: &Task, all: &mut Variables) {
        all.nagios("SERVICEDESC", &task.meta.name);
        all.nagios("SERVICEDISPLAYNAME", task.meta.title());
        all.nagios("SERVICENOTES", &task.meta.description);
        all.nagios("MAXSERVICEATTEMPTS", task.max_attempts);
        all.labels("_SERVICE", &task.meta.labels);
        // What is told, though it may have changed while it was on its way.
        let told = match self.state {
            Some(AnyState::Task(told)) => Some(told),
            _ => None,
        };
        let state = told.or_else(|| self.pair?.state).or_else(|| self.result?.state).unwrap_or(State::Ok);
        all.nagios("SERVICESTATE", state);
        all.nagios("SERVICESTATEID", number(state));
        let executed = self.result.filter(|result| result.state.is_some());
        let hard = executed.map(|result| result.hard).or_else(|| Some(self.pair?.hard)).unwrap_or(true);
        all.nagios("SERVICESTATETYPE", state_type(hard));
        let attempt = executed.map(|result| result.attempt).or_else(|| Some(self.pair?.attempt)).unwrap_or(1);
        all.nagios("SERVICEATTEMPT", attempt.max(1));
        if let Some(pair) = self.pair {
            all.nagios("SERVICEDOWNTIME", u8::from(pair.in_downtime));
            all.nagios("LASTSERVICECHECK", pair.last_executed_at.map_or(0, seconds));
            self.since("SERVICE", pair.since, all);
            if let Some(ack) = &pair.ack {
                all.nagios("SERVICEACKAUTHOR", ack.by.as_ref().map_or("", Name::as_str));
                all.nagios("SERVICEACKCOMMENT", &ack.comment);
            }
        }
        all.nagios("SERVICEOUTPUT", self.message());
        let Some(result) = self.result else { return };
        all.nagios("LONGSERVICEOUTPUT", long_output(result, task.plugin));
        all.nagios("SERVICEPERFDATA", perfdata(result.perfdata.as_deref().unwrap_or_default()));
        let in_seconds = |millis: Option<i64>| format!("{:.3}", millis.unwrap_or_default() as f64 / 1000.0);
        all.nagios("SERVICEEXECUTIONTIME", in_seconds(result.duration_ms()));
        all.nagios("SERVICELATENCY", in_seconds(result.lateness_ms()));
    }

    /// Since when something is in its state.
    fn since(&self, what: &str, since: Option<Timestamp>, all: &mut Variables) {
        let Some(since) = since else { return };
        let lasts = (self.at.get() - since.get()).max(TimeDelta::zero());
        let (days, hours, minutes) = (lasts.num_days(), lasts.num_hours() % 24, lasts.num_minutes() % 60);
        all.nagios(&format!("LAST{what}STATECHANGE"), seconds(since));
        all.nagios(&format!("{what}DURATIONSEC"), lasts.num_seconds());
        let text = format!("{days}d {hours}h {minutes}m {}s", lasts.num_seconds() % 60);
        all.nagios(&format!("{what}DURATION"), text);
    }

    fn of_notification(&self, all: &mut Variables) {
        let now: DateTime<Utc> = self.at.get();
        all.nagios("NOTIFICATIONTYPE", self.kind);
        let recipients: Vec<&str> = self.recipients.iter().map(Name::as_str).collect();
        all.nagios("NOTIFICATIONRECIPIENTS", recipients.join(","));
        all.nagios("NOTIFICATIONISESCALATED", 0);
        all.nagios("NOTIFICATIONNUMBER", self.number);
        let what = if self.task.is_some() { "SERVICENOTIFICATIONNUMBER" } else { "HOSTNOTIFICATIONNUMBER" };
        all.nagios(what, self.number);
        all.nagios("LONGDATETIME", now.format("%a %b %-d %H:%M:%S UTC %Y"));
        all.nagios("SHORTDATETIME", now.format("%Y-%m-%d %H:%M:%S"));
        all.nagios("DATE", now.format("%Y-%m-%d"));
        all.nagios("TIME", now.format("%H:%M:%S"));
        all.nagios("TIMET", now.timestamp());
    }

    fn of_contact(&self, all: &mut Variables) {
        let Some(contact) = self.contact else { return };
        all.nagios("CONTACTNAME", &contact.meta.name);
        all.nagios("CONTACTALIAS", contact.meta.title());
        all.nagios("CONTACTEMAIL", contact.email.as_ref().map_or("", |email| email.as_str()));
        all.nagios("CONTACTPAGER", contact.phone.as_deref().unwrap_or_default());
        for (place, address) in contact.addresses.values().take(ADDRESSES).enumerate() {
            all.nagios(&format!("CONTACTADDRESS{}", place + 1), address);
        }
        for (name, address) in &contact.addresses {
            all.nagios(&format!("_CONTACT{}", upper(name)), address);
        }
        all.labels("_CONTACT", &contact.meta.labels);
    }
}

#[derive(Default)]
struct Variables(BTreeMap<String, String>);

impl Variables {
    fn set(&mut self, name: String, value: impl ToString) {
        let mut value = value.to_string();
        value.retain(|c| c != '\0');
        if value.len() > LONGEST {
            value.truncate(value.floor_char_boundary(LONGEST));
        }
        self.0.insert(name, value);
    }

    fn alf(&mut self, name: &str, value: impl ToString) {
        self.set(format!("ALF_{name}"), value);
    }

    fn nagios(&mut self, name: &str, value: impl ToString) {
        self.set(format!("NAGIOS_{name}"), value);
    }

    /// Labels as Nagios has custom variables: `role` of a host is `$_HOSTROLE$`.
    fn labels(&mut self, prefix: &str, labels: &Labels) {
        for (key, value) in labels.iter() {
            self.nagios(&format!("{prefix}{}", upper(key)), value);
        }
    }
}

fn upper(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

fn seconds(at: Timestamp) -> i64 {
    at.get().timestamp()
}

fn state_type(hard: bool) -> &'static str {
    if hard { "HARD" } else { "SOFT" }
}

fn number(state: State) -> u8 {
    match state {
        State::Ok => 0,
        State::Warning => 1,
        State::Critical => 2,
        State::Unknown => 3,
    }
}

fn host_number(state: HostState) -> u8 {
    match state {
        HostState::Up => 0,
        HostState::Down => 1,
        HostState::Unreachable => 2,
    }
}

/// What a run wrote after its first line, without a plugin's data; line ends as `\n`, as Nagios has them there.
fn long_output(result: &RunResult, plugin: Plugin) -> String {
    let stdout = String::from_utf8_lossy(&result.stdout.bytes);
    let first = text_of(&stdout).map_or(0, |text| stdout.find(text).unwrap_or_default());
    let rest = stdout[first..].split_once('\n').map_or("", |(_, rest)| rest);
    let rest = if plugin == Plugin::Nagios { rest.split('|').next().unwrap_or_default() } else { rest };
    rest.trim_end().replace('\\', "\\\\").replace('\n', "\\n")
}

/// Metrics in the words of a plugin.
fn perfdata(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        if !text.is_empty() {
            text.push(' ');
        }
        let label = &metric.label;
        let value = metric.value.map_or("U".to_owned(), |value| value.to_string());
        let unit = metric.unit.as_deref().unwrap_or_default();
        // Writing into a String does not fail.
        let _ = if label.contains([' ', '\'', '=']) {
            write!(text, "'{}'={value}{unit}", label.replace('\'', "''"))
        } else {
            write!(text, "{label}={value}{unit}")
        };
        let bounds = [
            metric.warn.clone(),
            metric.crit.clone(),
            metric.min.map(|min| min.to_string()),
            metric.max.map(|max| max.to_string()),
        ];
        let given = bounds.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        for bound in &bounds[..given] {
            let _ = write!(text, ";{}", bound.as_deref().unwrap_or_default());
        }
    }
    text
}

#[cfg(test)]
mod tests;
