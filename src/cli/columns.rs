//! The columns of each kind of thing.

use super::doc::Doc;
use super::show::{Column, View};
use super::text::{Times, milliseconds};

use crate::model::{CronLine, Noun};

/// How much of a command is shown where not all is asked for.
const SHORT: usize = 60;

const fn narrow(title: &'static str, cell: fn(&Doc, Times) -> String) -> Column {
    Column { title, wide: false, cell }
}

const fn wide(title: &'static str, cell: fn(&Doc, Times) -> String) -> Column {
    Column { title, wide: true, cell }
}

/// A column that shows a field of the same name.
macro_rules! field {
    ($title:literal, $field:literal) => {
        narrow($title, |doc, _| field(doc, $field))
    };
    (wide $title:literal, $field:literal) => {
        wide($title, |doc, _| field(doc, $field))
    };
    (time $title:literal, $field:literal) => {
        narrow($title, |doc, times| time(doc, $field, times))
    };
    (wide time $title:literal, $field:literal) => {
        wide($title, |doc, times| time(doc, $field, times))
    };
}

/// A field as text; empty where there is none.
pub(super) fn field(doc: &Doc, name: &str) -> String {
    doc.get(name).map(Doc::brief).unwrap_or_default()
}

/// An instant of a document, as instants are shown.
pub(super) fn time(doc: &Doc, name: &str, times: Times) -> String {
    doc.text(name).map(|text| times.shown(text)).unwrap_or_default()
}

/// A field that counts milliseconds, as durations are shown.
pub(super) fn duration(doc: &Doc, name: &str) -> String {
    doc.integer(name).map(milliseconds).unwrap_or_default()
}

/// The state of a pair or a host: null means that nothing has run there yet.
pub(super) fn state(doc: &Doc) -> String {
    doc.text("state").unwrap_or("PENDING").to_owned()
}

fn name(doc: &Doc) -> String {
    field(doc, "name")
}

fn hosts(doc: &Doc) -> String {
    doc.text("host").or(doc.text("selector")).unwrap_or_default().to_owned()
}

fn meaning(doc: &Doc) -> String {
    let line = doc.text("cron").and_then(|text| text.parse::<CronLine>().ok());
    line.map(|line| line.describe()).unwrap_or_default()
}

fn proof(doc: &Doc) -> String {
    match doc.text("key_file") {
        Some(path) => format!("key_file {path}"),
        None => ["password", "private_key", "agent"]
            .into_iter()
            .find(|proof| doc.get(proof).is_some())
            .unwrap_or_default()
            .to_owned(),
    }
}

/// What a task runs, in one line.
fn work(doc: &Doc) -> String {
    let words = |parts: [String; 2]| parts.join(" ").trim_end().to_owned();
    let listed = |doc: &Doc, name: &str| doc.list(name).iter().map(Doc::brief).collect::<Vec<_>>().join(" ");
    if let Some(program) = doc.get("program") {
        return words([format!("program {}", field(program, "name")), listed(program, "args")]);
    }
    match doc.get("script") {
        Some(script) => format!("{}: {}", listed(script, "interpreter"), field(script, "body").trim_start()),
        None => field(doc, "command"),
    }
}

/// When a contact is not to be told, in one line.
fn quiet(doc: &Doc) -> String {
    let Some(hours) = doc.get("quiet_hours") else { return String::new() };
    let period = |one: &Doc| format!("{} {}-{}", field(one, "days"), field(one, "from"), field(one, "to"));
    hours.list("periods").iter().map(period).collect::<Vec<_>>().join(", ")
}

/// Of what and when an Action is, in one line; without what holds for all of them.
fn when(doc: &Doc) -> String {
    let Some(when) = doc.get("when") else { return String::new() };
    let mut words = Vec::new();
    for name in ["on", "after", "lasting"] {
        words.extend(
            when.get(name).map(|value| if name == "on" { value.brief() } else { format!("{name} {}", value.brief()) }),
        );
    }
    words.extend(when.text("object").filter(|object| *object != "both").map(|object| format!("object={object}")));
    let names =
        ["outcome", "states", "reasons", "exit_codes", "tasks", "hosts", "selector", "task_selector", "output_regex"];
    words.extend(names.iter().filter_map(|name| when.get(name).map(|value| format!("{name}={}", value.brief()))));
    words.extend(when.text("perf").map(str::to_owned));
    words.join(" ")
}

/// What follows, in one line.
fn then(doc: &Doc) -> String {
    let Some(then) = doc.get("then") else { return String::new() };
    if then.get("run").is_some() {
        return format!("run {} on {}", field(then, "run"), field(then, "on"));
    }
    let kinds =
        [("webhook", "url"), ("graphite", "address"), ("ganglia", "address"), ("influx", "url"), ("email", "to")];
    let found =
        kinds.into_iter().find_map(|(kind, place)| then.get(kind).map(|sink| format!("{kind} {}", field(sink, place))));
    found.map(|text| text.trim_end().to_owned()).unwrap_or_default()
}

fn short(text: &str) -> String {
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What an entry of the audit tells beyond its columns: the call, fields, the run, how often.
fn audited(doc: &Doc) -> String {
    if let Some(run) = doc.text("run") {
        return format!("run {run}");
    }
    let mut told: Vec<String> = doc.text("call").map(str::to_owned).into_iter().collect();
    told.extend(doc.list("fields").iter().map(Doc::brief));
    told.extend(doc.integer("count").filter(|count| *count > 1).map(|count| format!("{count} times")));
    told.join(" ")
}

static SECRETS: [Column; 5] = [
    field!("NAME", "name"),
    field!("TITLE", "title"),
    field!(time "UPDATED", "updated_at"),
    field!(wide "LABELS", "labels"),
    field!(wide "VERSION", "version"),
];
static CREDENTIALS: [Column; 6] = [
    field!("NAME", "name"),
    field!("USER", "user"),
    narrow("PROOF", |doc, _| proof(doc)),
    field!(wide "LABELS", "labels"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static HOSTS: [Column; 11] = [
    field!("NAME", "name"),
    field!("ADDRESS", "address"),
    field!("PORT", "port"),
    field!("USER", "user"),
    field!("CREDENTIAL", "credential"),
    field!("ENABLED", "enabled"),
    field!("LABELS", "labels"),
    field!(wide "JUMP", "jump"),
    field!(wide "SESSIONS", "max_sessions"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static TASKS: [Column; 9] = [
    field!("NAME", "name"),
    field!("TIMEOUT", "timeout"),
    field!("ENABLED", "enabled"),
    narrow("COMMAND", |doc, _| short(&work(doc))),
    field!(wide "RUN AS", "run_as"),
    field!(wide "TITLE", "title"),
    field!(wide "LABELS", "labels"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static PROGRAMS: [Column; 7] = [
    field!("NAME", "name"),
    field!("SIZE", "size"),
    narrow("SHA256", |doc, _| field(doc, "sha256").chars().take(12).collect()),
    field!(time "UPDATED", "updated_at"),
    field!(wide "TITLE", "title"),
    field!(wide "LABELS", "labels"),
    field!(wide "VERSION", "version"),
];
static SCHEDULES: [Column; 8] = [
    field!("NAME", "name"),
    field!("CRON", "cron"),
    field!("TIMEZONE", "timezone"),
    field!("ENABLED", "enabled"),
    narrow("MEANING", |doc, _| meaning(doc)),
    field!(wide "LABELS", "labels"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static HOST_TASKS: [Column; 7] = [
    field!("NAME", "name"),
    field!("TASK", "task"),
    narrow("HOSTS", |doc, _| hosts(doc)),
    field!("ENABLED", "enabled"),
    field!(wide "TIMEOUT", "timeout"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static TASK_SCHEDULES: [Column; 8] = [
    field!("NAME", "name"),
    field!("TASK", "task"),
    narrow("WHEN", |doc, _| doc.text("schedule").or(doc.text("cron")).unwrap_or_default().to_owned()),
    field!("TIMEZONE", "timezone"),
    narrow("HOSTS", |doc, _| Some(hosts(doc)).filter(|hosts| !hosts.is_empty()).unwrap_or_else(|| "all".to_owned())),
    field!("ENABLED", "enabled"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static DOWNTIMES: [Column; 9] = [
    field!("NAME", "name"),
    narrow("HOSTS", |doc, _| hosts(doc)),
    field!("TASK", "task"),
    narrow("WHEN", |doc, times| match doc.text("cron") {
        Some(cron) => format!("{cron} for {}", field(doc, "duration")),
        None => format!("{} to {}", time(doc, "starts_at", times), time(doc, "ends_at", times)),
    }),
    field!("MODE", "mode"),
    field!("COMMENT", "comment"),
    field!(wide "TIMEZONE", "timezone"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static CONTACTS: [Column; 8] = [
    field!("NAME", "name"),
    field!("TITLE", "title"),
    field!("EMAIL", "email"),
    field!("PHONE", "phone"),
    narrow("QUIET", |doc, _| quiet(doc)),
    field!(wide "NOTIFY ON", "notify_on"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static ACTIONS: [Column; 11] = [
    field!("NAME", "name"),
    narrow("WHEN", |doc, _| short(&when(doc))),
    narrow("THEN", |doc, _| short(&then(doc))),
    field!("CONTACTS", "contacts"),
    field!("ENABLED", "enabled"),
    field!(wide "THROTTLE", "throttle"),
    field!(wide "REPEAT", "repeat"),
    field!(wide "LIMIT", "limit"),
    field!(wide "DIGEST", "digest"),
    field!(wide "VERSION", "version"),
    field!(wide time "UPDATED", "updated_at"),
];
static KEYS: [Column; 9] = [
    field!("NAME", "name"),
    field!("ROLE", "role"),
    narrow("EXEC", |doc, _| if doc.is("exec") { "yes" } else { "no" }.to_owned()),
    narrow("HOSTS", |doc, _| doc.text("selector").unwrap_or("all").to_owned()),
    field!(time "EXPIRES", "expires_at"),
    field!(time "USED", "last_used_at"),
    field!(time "CREATED", "created_at"),
    field!(wide "LABELS", "labels"),
    field!(wide time "UPDATED", "updated_at"),
];
static STATUS: [Column; 12] = [
    field!("HOST", "host"),
    narrow("TASK", |doc, _| doc.text("task").unwrap_or("-").to_owned()),
    narrow("STATE", |doc, _| state(doc)),
    field!(time "SINCE", "since"),
    field!(time "LAST", "last_executed_at"),
    field!(time "NEXT", "next_run_at"),
    narrow("RUNNING", |doc, _| match doc.get("running") {
        Some(_) => if doc.is("running") { "yes" } else { "no" }.to_owned(),
        None => String::new(),
    }),
    narrow("NOTES", |doc, _| notes(doc)),
    field!(wide "OUTCOME", "outcome"),
    wide("KIND", |doc, _| if doc.is("hard") { "hard" } else { "soft" }.to_owned()),
    wide("ATTEMPT", |doc, _| {
        let most = doc.get("max_attempts").map(|most| format!("/{}", most.brief())).unwrap_or_default();
        format!("{}{most}", field(doc, "attempt"))
    }),
    field!(wide "SKIPPED", "skipped_in_row"),
];
static RESULTS: [Column; 17] = [
    field!("ID", "id"),
    field!(time "FINISHED", "finished_at"),
    field!("HOST", "host"),
    field!("TASK", "task"),
    field!("OUTCOME", "outcome"),
    field!("STATE", "state"),
    field!(wide "REASON", "reason"),
    narrow("TOOK", |doc, _| duration(doc, "duration_ms")),
    wide("LATE", |doc, _| duration(doc, "lateness_ms")),
    field!(wide "EXIT", "exit_code"),
    field!(wide "ATTEMPT", "attempt"),
    field!(wide "TRIGGER", "trigger"),
    field!(wide "BY", "by"),
    field!(wide "SCHEDULE", "schedule"),
    field!(wide "NODE", "node"),
    field!(wide time "SCHEDULED", "scheduled_at"),
    field!("MESSAGE", "message"),
];
static RUNS: [Column; 9] = [
    field!("ID", "id"),
    field!("HOST", "host"),
    field!("TASK", "task"),
    narrow("STATE", |doc, _| field(doc, "state").to_uppercase()),
    field!(time "DUE", "due_at"),
    field!(time "STARTED", "started_at"),
    field!("TRIGGER", "trigger"),
    field!(wide "BY", "by"),
    field!(wide "SCHEDULE", "schedule"),
];

/// What there is to know of a pair beside its state.
pub(super) fn notes(doc: &Doc) -> String {
    let all = [
        ("acknowledged", "ack"),
        ("in_downtime", "downtime"),
        ("flapping", "flapping"),
        ("late", "late"),
        ("stale", "stale"),
    ];
    let said = all.into_iter().filter(|(field, _)| doc.is(field)).map(|(_, word)| word);
    // Why a host is down; Results have messages of their own.
    said.chain(doc.text("message")).collect::<Vec<_>>().join(" ")
}

static AUDIT: [Column; 11] = [
    field!(time "AT", "at"),
    field!("BY", "by"),
    field!("FROM", "address"),
    field!("VERB", "verb"),
    field!("NOUN", "noun"),
    field!("NAME", "name"),
    field!("HOST", "host"),
    field!("OUTCOME", "outcome"),
    narrow("WHAT", |doc, _| audited(doc)),
    field!(wide "REQUEST", "request"),
    field!(wide "ID", "id"),
];

static NOTIFICATIONS: [Column; 13] = [
    field!(time "AT", "at"),
    field!("TYPE", "type"),
    field!("HOST", "host"),
    field!("TASK", "task"),
    field!("STATE", "state"),
    field!("CONTACT", "contact"),
    field!("ACTION", "action"),
    field!("OUTCOME", "outcome"),
    field!(wide "REASON", "reason"),
    field!(wide "RESULT", "result"),
    field!(wide "RUN", "run"),
    field!(wide "ID", "id"),
    field!("DETAIL", "detail"),
];

/// How the definitions of a noun are shown.
pub(super) fn definitions(noun: Noun) -> View {
    let columns: &'static [Column] = match noun {
        Noun::Secret => &SECRETS,
        Noun::Credential => &CREDENTIALS,
        Noun::Host => &HOSTS,
        Noun::Program => &PROGRAMS,
        Noun::Task => &TASKS,
        Noun::Schedule => &SCHEDULES,
        Noun::HostTask => &HOST_TASKS,
        Noun::TaskSchedule => &TASK_SCHEDULES,
        Noun::Downtime => &DOWNTIMES,
        Noun::Contact => &CONTACTS,
        Noun::Action => &ACTIONS,
        Noun::Key => &KEYS,
    };
    View { columns, name }
}

/// How rows of status are shown: those of tasks on hosts, and those of hosts themselves.
pub(super) const STATUS_ROWS: View = View {
    columns: &STATUS,
    name: |doc| match doc.text("task") {
        Some(task) => format!("{}/{task}", field(doc, "host")),
        None => field(doc, "host"),
    },
};

/// How Results are shown.
pub(super) const RESULT_ROWS: View = View { columns: &RESULTS, name: |doc| field(doc, "id") };

/// How runs are shown.
pub(super) const RUN_ROWS: View = View { columns: &RUNS, name: |doc| field(doc, "id") };

/// How notifications are shown.
pub(super) const NOTIFICATION_ROWS: View = View { columns: &NOTIFICATIONS, name: |doc| field(doc, "id") };

/// How entries of the audit are shown.
pub(super) const AUDIT_ROWS: View = View { columns: &AUDIT, name: |doc| field(doc, "id") };
