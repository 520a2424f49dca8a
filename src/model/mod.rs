//! The model: the nouns and the rules between them. Pure: no I/O, no async, no driver, no actor.

pub mod action;
pub mod catalog;
pub mod cron;
pub mod definition;
pub mod nagios;

mod ack;
mod any_state;
mod audit;
mod contact;
mod credential;
mod days;
mod downtime;
mod due_rules;
mod duration;
mod env;
mod event;
mod expect;
mod fault;
mod finish_by;
mod fit;
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
mod macros;
mod mailbox;
mod name;
mod notice;
mod notification;
mod noun;
mod outcome;
mod program;
mod quiet_hours;
mod result;
mod retention;
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
mod time_of_day;
mod timestamp;
mod timezone;
mod whole;
mod work;

pub use ack::{Ack, AckDocument};
pub use action::{Action, ActionDocument};
pub use any_state::AnyState;
pub use audit::{AuditEntry, AuditOutcome, AuditPage, AuditQuery, Origin, Verb};
pub use catalog::{AnyDefinition, Catalog, Catalogued, DowntimesOn, PairLine};
pub use contact::{Contact, ContactDocument};
pub use credential::{Credential, CredentialDocument, Proof};
pub use cron::{CronError, CronLine};
pub use days::Days;
pub use definition::{Defaults, Definition, Meta, ReadOnly, Secrets};
pub use downtime::{Downtime, DowntimeDocument, DowntimeMode, Period};
pub use due_rules::{DueRules, MissedRule, Splay};
pub use duration::{DurationError, Limit, Span};
pub use env::Env;
pub use event::{Change, Event, HostStanding, PairStanding};
pub use expect::{Expect, ExpectDocument, Pattern, Plugin, Search};
pub use fault::{Fault, Faults};
pub use finish_by::FinishBy;
pub use fit::{Fit, Scene, Tells};
pub use flapping::{FlapThresholds, StateHistory};
pub use given::{Given, GivenDocument};
pub use host::{Host, HostDocument, HostKeyDocument};
pub use host_key::{HostKeyPolicy, PublicKey, PublicKeyError};
pub use host_status::{HostRecord, HostState, HostStatus};
pub use host_task::{HostTask, HostTaskDocument, Hosts};
pub use key::{Key, KeyDigest, KeyDocument, Role, new_key};
pub use labels::Labels;
pub use last_results::{LAST_KEPT, LastResults, NewestResults};
pub use macros::Occasion;
pub use mailbox::Mailbox;
pub use name::{Name, NameError};
pub use notice::{Hold, Holds, Notice, NoticeKind, Owed, Stands, Step, Terms, Told};
pub use notification::{
    Evaluated, NoticeKey, Notification, NotificationOutcome, NotificationPage, NotificationQuery, Parcel, Recipient,
    Tiding, Trace, TraceItem,
};
pub use noun::{Noun, Reference};
pub use outcome::{Outcome, Reason, State};
pub use program::{Content, ContentHash, ContentHashError, Program, ProgramDocument};
pub use quiet_hours::{QuietHours, QuietHoursDocument, QuietPeriod, QuietPeriodDocument};
pub use result::{
    Bodies, Captured, Cause, Encoding, Instants, Kill, PAGE_PERFDATA, ResultDocument, ResultPage, ResultQuery, RunId,
    RunIds, RunResult, Trigger,
};
pub use retention::{Keep, Retention, TaskRetention};
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
pub use time_of_day::TimeOfDay;
pub use timestamp::Timestamp;
pub use timezone::{LineZone, Timezone};
pub use work::{ProgramCallDocument, ScriptDocument, Work};
