//! Parameters of queries, paths and headers: what each is, once for all calls that know it.

use serde_json::{Value, json};

use super::super::once::{IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED};
use super::super::query::FORMAT;
use super::schemas::reference;
use crate::model::{LAST_KEPT, Noun};

/// A query parameter as it is for a call; none if nothing is known of it.
pub fn query(name: &str, path: &str) -> Option<Value> {
    let of_status = path.ends_with("/status");
    let of_notifications = path.ends_with("/notifications");
    let (tells, schema) = match name {
        FORMAT => ("The form of the answer; beats Accept.", json!({"type": "string", "enum": ["json", "xml"]})),
        "limit" => {
            ("At most so many items.", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}))
        }
        "cursor" => ("Where the page begins: next of the page before.", json!({"type": "string"})),
        "selector" if path.contains("status") => ("Of these hosts.", reference("Selector")),
        "selector" => ("Those that it chooses by their own labels.", reference("Selector")),
        "q" => ("A text in name, title or description, in any case.", json!({"type": "string"})),
        "cascade" => ("Whether links and downtimes that name it go along.", flag()),
        "dry_run" => ("Whether it is only looked at what would be done.", flag()),
        "documents" => ("Whether the answer shows what each was and is.", flag()),
        "prune" => (
            "Deletes what it chooses by their own labels and the document leaves out, of the nouns that are in the document.",
            reference("Selector"),
        ),
        "wait" => ("How long the answer may wait for the end of the run, at most 10m.", reference("Span")),
        "host" => ("On this host.", reference("Name")),
        "task" => ("Of this task.", reference("Name")),
        "outcome" if of_notifications => ("That came to this.", reference("NotificationOutcome")),
        "outcome" => ("With this outcome.", reference("Outcome")),
        "state" if of_status => (
            "In this state; PENDING: never run.",
            json!({"type": "string", "enum": ["OK", "WARNING", "CRITICAL", "UNKNOWN", "PENDING"]}),
        ),
        "state" if path.ends_with("/host-statuses") => (
            "In this state; PENDING: never connected to.",
            json!({"type": "string", "enum": ["UP", "DOWN", "UNREACHABLE", "PENDING"]}),
        ),
        "state" if of_notifications => ("That tell of this state.", reference("AnyState")),
        "state" => ("In this state.", reference("State")),
        "type" => ("That tell this.", reference("NoticeKind")),
        "result" => ("The id of a stored Result; has to be given.", reference("RunId")),
        "contact" => ("To this contact.", reference("Name")),
        "action" => ("By this Action.", reference("Name")),
        "reason" => ("For this reason.", reference("Reason")),
        "trigger" => ("Started by this.", reference("Trigger")),
        "group" => ("Asked for together.", reference("RunId")),
        "by" => ("By this key.", reference("Name")),
        "noun" => ("To this kind of definition, such as host or host_task.", json!({"type": "string"})),
        "name" => ("To the definition of this name.", reference("Name")),
        "verb" => ("That did this.", reference("Verb")),
        "since" if of_notifications || path.ends_with("/audit") => {
            ("At this instant or later.", reference("Timestamp"))
        }
        "until" if of_notifications || path.ends_with("/audit") => ("Before this instant.", reference("Timestamp")),
        "since" => ("Due at this instant or later.", reference("Timestamp")),
        "until" => ("Due before this instant.", reference("Timestamp")),
        "unhandled" => {
            ("Whether they are PROBLEMs neither acknowledged nor in a downtime.", json!({"type": "boolean"}))
        }
        "n" => (
            "How many of the last Results are shown.",
            json!({"type": "integer", "minimum": 0, "maximum": LAST_KEPT, "default": 20}),
        ),
        "cron" => ("The line.", reference("CronLine")),
        "timezone" => ("The zone whose wall clock the line follows.", reference("Timezone")),
        "from" => ("Instants after this one; after now where it is left out.", reference("Timestamp")),
        "count" => ("So many instants.", json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 5})),
        _ => return None,
    };
    let required = matches!(name, "cron" | "result");
    Some(json!({"name": name, "in": "query", "required": required, "description": tells, "schema": schema}))
}

fn flag() -> Value {
    json!({"type": "boolean", "default": false})
}

/// The variable parts of a path.
pub fn path(path: &str) -> Vec<Value> {
    let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let noun = path.split('/').rev().nth(1).and_then(Noun::parse);
    let of = |name: &str| {
        let (tells, schema) = match name {
            "id" => ("The id of a run or Result.", reference("RunId")),
            _ if noun.is_some_and(Noun::is_link) => ("Its name.", pattern("^[A-Za-z0-9][A-Za-z0-9._@-]{0,256}$")),
            "host" => ("The name of a host.", pattern(NAME)),
            "task" => ("The name of a task.", pattern(NAME)),
            _ => ("Its name.", pattern(NAME)),
        };
        json!({"name": name, "in": "path", "required": true, "description": tells, "schema": schema})
    };
    parts.map(of).collect()
}

const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$";

fn pattern(pattern: &str) -> Value {
    json!({"type": "string", "pattern": pattern})
}

/// A header that a call reads.
pub fn header(name: &str) -> Value {
    let (tells, example) = match name {
        "If-Match" => ("Only where it is at one of these versions: entity tags, or *.", "\"3\""),
        "If-None-Match" => ("Only where it is at none of these versions; *: only where it is not there.", "*"),
        IDEMPOTENCY_KEY => (
            "The same request under the same key is done once, for a day; repeated, it is answered as the first was. 422: the \
             key was that of another request; 409: the same is still being done.",
            "\"9f1c2c1e-nightly\"",
        ),
        "Last-Event-ID" => ("Where to go on: the id of the last event.", "0.0"),
        _ => ("", ""),
    };
    let schema = if name == IDEMPOTENCY_KEY { pattern("^[!-~]{1,255}$") } else { json!({"type": "string"}) };
    json!({
        "name": name, "in": "header", "required": false, "description": tells, "schema": schema, "example": example,
    })
}

/// A header of an answer.
pub fn answered(name: &str) -> Value {
    let (tells, example) = match name {
        "Location" => ("Where it is.", "/api/v1/hosts/web1"),
        "ETag" => ("Its version in this form.", "\"3-1a20867c7d8-j\""),
        "Link" => ("The next page, if there is one.", "</api/v1/hosts?cursor=aG9zdHMKd2ViMQ>; rel=\"next\""),
        "Retry-After" => ("After so many seconds it is worth another try.", "5"),
        "WWW-Authenticate" => ("How a key is shown.", "Bearer realm=\"alf\""),
        IDEMPOTENCY_REPLAYED => ("Whether it was done before, under the same Idempotency-Key.", "true"),
        "X-Request-Id" => ("The request's id, as in Alf's log.", "01a20867-2305-7000-a80f-36c3e8703ee2"),
        _ => ("", ""),
    };
    json!({"description": tells, "schema": {"type": "string"}, "example": example})
}
