//! What each call is for, what goes in and what comes out. A call that is routed and not here fails a test; its role, its
//! parameters and most of its problems follow from its route.

use utoipa::ToSchema;

use super::super::action_test::ActionTest;
use super::super::apply::Answer as Applied;
use super::super::doctor::Examination;
use super::super::exposition::TEXT;
use super::super::health::Health;
use super::super::host_key::TrustDocument;
use super::super::live::EVENT_STREAM;
use super::super::nouns::Served;
use super::super::once::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use super::super::preview::Preview;
use super::super::problem::Kind::{Conflict, NotFound, PreconditionFailed, Unavailable};
use super::super::programs::FILE;
use super::super::root::Api;
use super::super::rotate_key::Rotated;
use super::super::start::{Started, StartedOnMany};
use super::super::stats::Stats;
use super::super::trace::TraceDocument;
use super::about::{About, delete, get, get_at_root, patch, post, put};
use super::bodies::{AdHoc, AdHocOnMany, Definitions, NewKey, RunOnMany};
use crate::actors::handle::{Health as ActorHealth, HostKeyView, TrustedKey};
use crate::model::{
    AckDocument, Action, AuditEntry, Contact, Credential, Downtime, GivenDocument, Host, HostStatus, HostTask, Key,
    Notification, Program, ResultDocument, RunRow, Schedule, Secret, StatusRow, StatusSummary, Task, TaskSchedule,
};

const CREATED: &[&str] = &["Location", "ETag"];
const WHERE: &[&str] = &["Location", IDEMPOTENCY_REPLAYED];
const DONE: &[&str] = &[IDEMPOTENCY_REPLAYED];
/// What is done once is asked for with it.
const ONCE: &[&str] = &[IDEMPOTENCY_KEY];
const CONDITIONS: &[&str] = &["If-Match", "If-None-Match"];
/// One of what happens.
const HAPPENED: &str = "event: pause\nid: 1795219170000.17\ndata: {\"paused\":true,\"since\":\"2026-11-25T10:00:00.000Z\",\"by\":\"admin\"}\n\n";
/// An end of the stream of a run's output.
const EVENTS: &str = "event: stdout\nid: 3.0\ndata: {\"offset\":0,\"encoding\":\"utf-8\",\"data\":\"ok\\n\"}\n\n";
/// The beginning of the figures.
const METRICS: &str =
    "# HELP alf_build_info What serves; always 1.\n# TYPE alf_build_info gauge\nalf_build_info{version=\"0.1.0\"} 1\n";

/// Every call.
pub fn calls() -> Vec<About> {
    let mut calls = vec![
        get("", "What there is, and where").shows::<Api>("api"),
        get("/", "What there is, and where").shows::<Api>("api"),
        get("/schedules/preview", "When a cron line would be due").shows::<Preview>("preview"),
        get("/hosts/{host}/host-key", "Which key a host shows, and how it stands to what is recorded")
            .shows::<HostKeyView>("host_key")
            .may_fail(&[Conflict]),
        post("/hosts/{host}/doctor", "What is wrong with a host, step by step")
            .more("Takes up to a minute.")
            .takes_nothing("doctor")
            .shows::<Examination<'_>>("doctor")
            .may_fail(&[Conflict]),
        post("/hosts/{host}/trust", "Trust the key that a host shows now")
            .may_take::<TrustDocument>("trust")
            .shows::<TrustedKey>("trusted")
            .may_fail(&[Conflict]),
        post("/hosts/{host}/forget-key", "Forget the keys learnt from a host")
            .takes_nothing("forget_key")
            .ends(204, "They are forgotten.")
            .may_fail(&[Conflict]),
        post("/hosts/{host}/tasks/{task}/run", "Run a task on a host now")
            .more("Any task on any host, linked or not. 409: it runs there already, and its overlap is skip.")
            .may_take::<GivenDocument>("run")
            .answers::<ResultDocument>(200, "With wait: it is over.", "result", DONE)
            .answers::<Started>(202, "It has begun, or waits for its turn.", "run", WHERE)
            .reads(ONCE)
            .may_fail(&[Conflict]),
        post("/hosts/{host}/exec", "Run something that is not defined")
            .takes::<AdHoc>("run")
            .answers::<ResultDocument>(200, "With wait: it is over.", "result", DONE)
            .answers::<Started>(202, "It has begun, or waits for its turn.", "run", WHERE)
            .reads(ONCE)
            .may_fail(&[Conflict]),
        post("/tasks/{task}/run", "Run a task on many hosts now")
            .takes::<RunOnMany>("run")
            .answers::<StartedOnMany>(202, "It has begun, where it is not refused.", "run", WHERE)
            .reads(ONCE)
            .may_fail(&[Conflict]),
        post("/exec", "Run something that is not defined on many hosts")
            .takes::<AdHocOnMany>("run")
            .answers::<StartedOnMany>(202, "It has begun, where it is not refused.", "run", WHERE)
            .reads(ONCE)
            .may_fail(&[Conflict]),
        post("/apply", "Create, change and delete many definitions at once")
            .more("All or nothing. Takes what an export gives; secrets that are left out stay. Applied again it changes nothing.")
            .takes::<Definitions>("export")
            .answers::<Applied>(200, "It is so.", "applied", DONE)
            .reads(ONCE)
            .may_fail(&[Conflict]),
        get("/export", "All definitions as one document")
            .more("Without secrets and without what Alf alone sets.")
            .shows::<Definitions>("export"),
        post("/rotate-key", "Another encryption key for the secrets that Alf keeps")
            .takes_nothing("rotation")
            .shows::<Rotated>("rotation")
            .may_fail(&[Conflict]),
        get("/runs", "What runs or waits").lists::<RunRow>("runs", "run"),
        get("/runs/{id}", "A run that has not ended").shows::<RunRow>("run"),
        delete("/runs/{id}", "Cancel a run")
            .more("Its remote process tree is killed; its Result comes when that is through.")
            .ends(204, "Its end has begun."),
        get("/runs/{id}/output", "What a run writes while it runs")
            .more("Server-Sent Events: stdout, stderr, gap, end. The id of each is OUT.ERR, the next byte offsets.")
            .reads(&["Last-Event-ID"])
            .sends(EVENT_STREAM, EVENTS),
        get("/results", "What became of runs, newest first").lists::<ResultDocument>("results", "result"),
        get("/results/{id}", "One whole Result").shows::<ResultDocument>("result"),
        get("/results/{id}/stdout", "The bytes a run wrote to its standard output").sends(FILE, "ok\n"),
        get("/results/{id}/stderr", "The bytes a run wrote to its standard error").sends(FILE, "ok\n"),
        post("/actions/{name}/test", "What an Action would do about a stored Result, had it come just now")
            .more("Nothing is sent and nothing counted. Secrets are shown by their names.")
            .takes_nothing("test")
            .shows::<ActionTest>("test"),
        get("/results/{id}/trace", "What every Action came to for a Result, and what it fired")
            .more("Where there is nothing, why says why not.")
            .shows::<TraceDocument>("trace"),
        get("/notifications", "Who was told what, and what was not told, and why, newest first")
            .lists::<Notification>("notifications", "notification"),
        get("/status", "How each task on each host stands").lists::<StatusRow>("statuses", "status"),
        get("/status/summary", "How many stand how").shows::<StatusSummary>("status"),
        get("/host-statuses", "How each host stands").lists::<HostStatus>("statuses", "status"),
        get("/status/{host}", "How a host stands").shows::<HostStatus>("status"),
        get("/status/{host}/{task}", "How a task on a host stands").shows::<StatusRow>("status"),
        post("/status/{host}/ack", "Acknowledge the PROBLEM of a host")
            .may_take::<AckDocument>("ack")
            .shows::<HostStatus>("status")
            .may_fail(&[Conflict]),
        post("/status/{host}/{task}/ack", "Acknowledge the PROBLEM of a task on a host")
            .may_take::<AckDocument>("ack")
            .shows::<StatusRow>("status")
            .may_fail(&[Conflict]),
        delete("/status/{host}/ack", "Take the acknowledgement of a host back").ends(204, "It is taken back."),
        delete("/status/{host}/{task}/ack", "Take the acknowledgement of a task on a host back")
            .ends(204, "It is taken back."),
        get("/audit", "Who changed or started what, newest first")
            .more("For keys of all hosts: it tells of each. Refused logins from one address, and refused calls of one kind with one key, are told together within a minute. No entry holds a value.")
            .lists::<AuditEntry>("audit_entries", "audit_entry"),
        post("/pause", "Stop all firing").takes_nothing("pause").shows::<StatusSummary>("status"),
        post("/resume", "Let firing go on").takes_nothing("resume").shows::<StatusSummary>("status"),
        get("/events", "What happens, as it happens")
            .more("Server-Sent Events: result, state, host, notification, pause, gap. The last thousand can be gone on with.")
            .reads(&["Last-Event-ID"])
            .sends(EVENT_STREAM, HAPPENED),
        get("/stats", "Figures of the whole").shows::<Stats>("stats"),
        get_at_root("/openapi.json", "This document").sends("application/json", "{}"),
        get_at_root("/docs", "This document as a page to try it").sends("text/html; charset=utf-8", "<!doctype html>"),
        get_at_root("/metrics", "Figures for Prometheus")
            .more("Counters since the start of the process. No key is needed with metrics.public = true.")
            .sends(TEXT, METRICS),
        get_at_root("/health/live", "Whether Alf lives").shows::<Health>("health"),
        get_at_root("/health/ready", "Whether Alf can do its work").shows::<Health>("health").may_fail(&[Unavailable]),
        get_at_root("/health/actors", "The live actor tree").shows::<ActorHealth>("health"),
        get_at_root("/health/actors/{host}", "A host's branch of the actor tree").shows::<ActorHealth>("health"),
    ];
    calls.extend(noun::<Secret>("Texts that are named where they are needed"));
    calls.extend(noun::<Credential>("How to log in"));
    calls.extend(noun::<Host>("Machines reached over SSH"));
    calls.extend(noun::<Task>("What to run"));
    calls.extend(noun::<Schedule>("When"));
    calls.extend(noun::<HostTask>("Which hosts a task is for"));
    calls.extend(noun::<TaskSchedule>("When a task runs on its hosts"));
    calls.extend(noun::<Downtime>("When work goes on somewhere"));
    calls.extend(noun::<Contact>("Who is told"));
    calls.extend(noun::<Action>("What follows when something happens"));
    calls.extend(keys());
    calls.extend(programs());
    calls
}

/// All calls of a noun.
fn noun<T: Served<Document: ToSchema>>(what: &'static str) -> Vec<About> {
    let mut calls = kept::<T>(what);
    calls.push(made::<T>(create::<T>()));
    calls.push(made::<T>(put_answers::<T>(replacing::<T>())));
    calls
}

/// The secret of a key is shown where it is made, and nowhere else.
fn keys() -> Vec<About> {
    let mut calls = kept::<Key>("Who may call the API");
    const MADE: &str = "It is made; its secret is shown only here.";
    calls.push(create::<Key>().answers::<NewKey>(201, MADE, "key", CREATED));
    calls.push(put_answers::<Key>(replacing::<Key>()).answers::<NewKey>(201, MADE, "key", CREATED));
    calls
}

/// A program is made by its file.
fn programs() -> Vec<About> {
    let mut calls = kept::<Program>("Files that tasks run on hosts");
    calls.push(post("/programs", "Not served: a program is made with PUT").takes_nothing("program"));
    let file = put("/programs/{name}", "Create a program, or put other bytes in its place").takes_file();
    calls.push(made::<Program>(put_answers::<Program>(file)));
    calls
}

fn path<T: Served>() -> String {
    format!("/{}", T::NOUN.url())
}

fn create<T: Served<Document: ToSchema>>() -> About {
    let summary = format!("Create a {}", T::NOUN);
    post(&path::<T>(), summary).takes::<T::Document>(T::NOUN.singular()).may_fail(&[Conflict])
}

fn replacing<T: Served<Document: ToSchema>>() -> About {
    let summary = format!("Create or replace a {}", T::NOUN);
    put(&format!("{}/{{name}}", path::<T>()), summary).takes::<T::Document>(T::NOUN.singular())
}

fn made<T: Served<Document: ToSchema>>(about: About) -> About {
    about.answers::<T::Document>(201, "It is made.", T::NOUN.singular(), CREATED)
}

/// What a PUT answers but for 201.
fn put_answers<T: Served<Document: ToSchema>>(about: About) -> About {
    about
        .answers::<T::Document>(200, "It is changed.", T::NOUN.singular(), &["ETag"])
        .reads(CONDITIONS)
        .may_fail(&[Conflict, PreconditionFailed])
}

/// All calls of a noun but those that create.
fn kept<T: Served<Document: ToSchema>>(what: &'static str) -> Vec<About> {
    let (all, singular) = (path::<T>(), T::NOUN.singular());
    let one = format!("{all}/{{name}}");
    vec![
        get(&all, format!("List {}", T::NOUN.url())).more(what).lists::<T::Document>(T::NOUN.plural(), singular),
        get(&one, format!("Read a {}", T::NOUN))
            .answers::<T::Document>(200, "It is so.", singular, &["ETag"])
            .ends(304, "It is as If-None-Match says.")
            .reads(&["If-None-Match"]),
        patch(&one, format!("Change fields of a {}", T::NOUN))
            .more("A JSON merge patch (RFC 7396): null takes a field back to its default.")
            .takes_patch::<T::Document>()
            .answers::<T::Document>(200, "It is changed.", singular, &["ETag"])
            .reads(CONDITIONS)
            .may_fail(&[Conflict, PreconditionFailed]),
        delete(&one, format!("Delete a {}", T::NOUN))
            .more("409 names its users; with cascade=true its links go along.")
            .ends(204, "It is gone.")
            .reads(CONDITIONS)
            .may_fail(&[Conflict, NotFound, PreconditionFailed]),
    ]
}
