//! The model: the nouns and the rules between them. Pure: no I/O, no async, no driver, no actor.

pub mod catalog;
pub mod cron;
pub mod definition;
pub mod nagios;

mod ack;
mod audit;
mod credential;
mod downtime;
mod due_rules;
mod duration;
mod env;
mod expect;
mod fault;
mod finish_by;
mod flapping;
mod given;
mod host;
mod host_key;
mod host_status;
mod host_task;
mod jump;
mod key;
mod labels;
mod last_results;
mod name;
mod noun;
mod outcome;
mod program;
mod result;
mod rights;
mod schedule;
mod schema;
mod secret;
mod secret_text;
mod selector;
mod status;
mod task;
mod task_schedule;
mod text_value;
mod timestamp;
mod timezone;
mod work;

pub use ack::{Ack, AckDocument};
pub use audit::{AuditEntry, AuditOutcome, AuditPage, AuditQuery, Origin, Verb};
pub use catalog::{AnyDefinition, Catalog, Catalogued, DowntimesOn, PairLine};
pub use credential::{Credential, CredentialDocument, Proof};
pub use cron::{CronError, CronLine};
pub use definition::{Defaults, Definition, Meta, ReadOnly, Secrets};
pub use downtime::{Downtime, DowntimeDocument, DowntimeMode, Period};
pub use due_rules::{DueRules, MissedRule, Splay};
pub use duration::{DurationError, Limit, Span};
pub use env::Env;
pub use expect::{Expect, ExpectDocument, Pattern, Plugin, Search};
pub use fault::{Fault, Faults};
pub use finish_by::FinishBy;
pub use flapping::{FlapThresholds, StateHistory};
pub use given::{Given, GivenDocument};
pub use host::{Host, HostDocument, HostKeyDocument};
pub use host_key::{HostKeyPolicy, PublicKey, PublicKeyError};
pub use host_status::{HostRecord, HostState, HostStatus};
pub use host_task::{HostTask, HostTaskDocument, Hosts};
pub use key::{Key, KeyDigest, KeyDocument, Role, new_key};
pub use labels::Labels;
pub use last_results::{LAST_KEPT, LastResults, NewestResults};
pub use name::{Name, NameError};
pub use noun::{Noun, Reference};
pub use outcome::{Outcome, Reason, State};
pub use program::{Content, ContentHash, ContentHashError, Program, ProgramDocument};
pub use result::{
    Bodies, Captured, Encoding, Instants, Kill, PAGE_PERFDATA, ResultDocument, ResultPage, ResultQuery, RunId, RunIds,
    RunResult, Trigger,
};
pub use rights::{Denied, Rights};
pub use schedule::{Schedule, ScheduleDocument};
pub use secret::{Secret, SecretDocument};
pub use secret_text::{SecretField, SecretText};
pub use selector::{Selector, SelectorError};
pub use status::{
    Expected, LastResult, PairStatus, Pause, Retry, RunRow, RunState, StatusRow, StatusSummary, Taking, Watched,
};
pub use task::{Overlap, Task, TaskDocument};
pub use task_schedule::{TaskSchedule, TaskScheduleDocument, When};
pub use text_value::{NoSecret, TextValue};
pub use timestamp::Timestamp;
pub use timezone::{LineZone, Timezone};
pub use work::{ProgramCallDocument, ScriptDocument, Work};
