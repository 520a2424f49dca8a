//! The HTTP API: the whole URL tree is [`routes`], on one screen.
//!
//! * `route.rs`        a path, its methods, which hosts each reaches, and what answers the others
//! * `call.rs`         one request from its arrival to its answer; `intake.rs` its body, `reply.rs` its answer
//! * `auth.rs`         operations and the roles they need; `bad_keys.rs` who shows too many bad keys
//! * `negotiate.rs`    JSON or XML; `format/` reading and writing them; `body.rs` a body as a document, all its faults
//! * `problem.rs`      errors, and the only place that knows their status codes
//! * `query.rs`, `page.rs`, `condition.rs`, `merge_patch.rs`   parameters, pages, entity tags, patches
//! * `definitions.rs`  the calls that all nouns share; `nouns.rs` what each noun adds; `programs.rs` files
//! * `apply.rs`, `export.rs`   many definitions at once; `bare.rs` what both show of one
//! * `start.rs`        starting runs; `live.rs` what they write while they run; `events.rs` what happens everywhere
//! * `once.rs`         what is done once, however often it is asked for
//! * `runs.rs`, `results.rs`, `status.rs`, `preview.rs`, `stats.rs`, `health.rs`, `root.rs`   the other calls
//! * `notifications.rs`   who was told what; `trace.rs` what Actions came to for a Result;
//!   `action_test.rs` what one would do
//! * `audit.rs`      who changed or started what
//! * `metrics.rs`      figures for Prometheus; `exposition.rs` in its format; `traffic.rs` those of requests
//! * `ack.rs`, `pause.rs`         acknowledging PROBLEMs; stopping all firing
//! * `host_key.rs`, `doctor.rs`     host keys by hand; what is wrong with a host
//! * `rotate_key.rs`   another encryption key
//! * `openapi/`        all of it as an OpenAPI document, and as a page to try it
//! * `server.rs`       the listening server; `tls.rs` its certificate; `limits.rs`, `admission.rs` what it bears
//! * `connection.rs`    slow clients, below HTTP, and `framing.rs` where answers end; `refusal.rs` what never became a request
//! * `access.rs`       the access log

pub mod access;
pub mod ack;
pub mod action_test;
pub mod admission;
pub mod apply;
pub mod audit;
pub mod auth;
pub mod bad_keys;
pub mod bare;
pub mod body;
pub mod call;
pub mod condition;
pub mod connection;
pub mod definitions;
pub mod doctor;
pub mod events;
pub mod export;
pub mod exposition;
pub mod format;
pub mod framing;
pub mod health;
pub mod host_key;
pub mod intake;
pub mod limits;
pub mod live;
pub mod merge_patch;
pub mod metrics;
pub mod negotiate;
pub mod notifications;
pub mod nouns;
pub mod once;
pub mod openapi;
pub mod page;
pub mod pause;
pub mod preview;
pub mod problem;
pub mod programs;
pub mod query;
pub mod refusal;
pub mod reply;
pub mod results;
pub mod root;
pub mod rotate_key;
pub mod route;
pub mod runs;
pub mod server;
pub mod start;
pub mod stats;
pub mod status;
pub mod tls;
pub mod trace;
pub mod traffic;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig};

use crate::actors::handle::AlfHandle;
use crate::model::{
    Action, Contact, Credential, Downtime, Host, HostTask, Key, Program, Schedule, Secret, Task, TaskSchedule,
};
use admission::Admission;
use auth::Operation::{
    self, Ask, Download, Exec, Follow, NothingPublic, Probe, Public, Run, Scrape, Tend, Try, Upload, Write,
};
use bad_keys::BadKeys;
use definitions as d;
pub use limits::Limits;
use limits::Places;
use nouns::Served;
use page::{CURSOR, LIMIT};
use route::{At, Reach, all_hosts, at, at_root, no_host, nothing, of_api, the_host, within};
pub use server::{HttpConfig, server};
pub use tls::{Tls, TlsError};
use traffic::Traffic;

/// What all workers share.
pub struct State {
    handle: AlfHandle,
    limits: Limits,
    places: Places,
    admission: Arc<Admission>,
    /// Whether it is served over TLS.
    secure: bool,
    /// Whether `GET /metrics` needs no key.
    public_metrics: bool,
    bad_keys: BadKeys,
    traffic: Traffic,
    openapi: openapi::Written,
}

impl State {
    /// The way inside, and how it is served.
    pub fn new(handle: AlfHandle, config: &HttpConfig) -> Self {
        let limits = config.limits.clone();
        Self {
            handle,
            places: Places::new(&limits),
            admission: Arc::new(Admission::new(&limits)),
            limits,
            secure: config.tls.is_some(),
            public_metrics: config.public_metrics,
            bad_keys: BadKeys::default(),
            traffic: Traffic::default(),
            openapi: openapi::Written::default(),
        }
    }
}

/// The URL tree, which [`configure`] is built from. What stands first is matched first. Each method says what it does, by
/// which it has its role ([`auth::Operation`]; reading is for every role), and which hosts it reaches ([`route::Hosts`]).
pub fn routes() -> Vec<At> {
    const RESULTS: &[&str] =
        &["host", "task", "outcome", "state", "reason", "trigger", "group", "since", "until", LIMIT, CURSOR];
    const NOTIFICATIONS: &[&str] =
        &["contact", "action", "host", "task", "outcome", "type", "state", "since", "until", LIMIT, CURSOR];
    const AUDIT: &[&str] = &["by", "noun", "name", "verb", "since", "until", LIMIT, CURSOR];
    const STATUS: &[&str] = &["host", "task", "outcome", "state", "selector", "unhandled", "n", LIMIT, CURSOR];
    const HOST_STATUSES: &[&str] = &["host", "outcome", "state", "selector", "unhandled", LIMIT, CURSOR];
    vec![
        at("").get(&[], no_host(root::describe)),
        at("/").get(&[], no_host(root::describe)),
        at("/schedules/preview").get(&["cron", "timezone", "from", "count"], no_host(preview::preview)),
        at("/tasks/{task}/run").on(Method::POST, Run, &[], within(start::task_on_many)),
        at("/exec").on(Method::POST, Exec, &[], within(start::exec_on_many)),
        all::<Secret>(),
        one::<Secret>(),
        all::<Credential>(),
        one::<Credential>(),
        all::<Host>(),
        one::<Host>(),
        at("/hosts/{host}/host-key").on(Method::GET, Ask, &[], the_host(host_key::show)),
        at("/hosts/{host}/doctor").on(Method::POST, Ask, &[], the_host(doctor::examine)),
        at("/hosts/{host}/trust").on(Method::POST, Write, &[], the_host(host_key::trust)),
        at("/hosts/{host}/forget-key").on(Method::POST, Write, &[], the_host(host_key::forget)),
        at("/hosts/{host}/tasks/{task}/run").on(Method::POST, Run, &["wait"], the_host(start::task)),
        at("/hosts/{host}/exec").on(Method::POST, Exec, &["wait"], the_host(start::exec)),
        listed::<Program>().on(Method::POST, Upload, &[], all_hosts(programs::create)),
        kept::<Program>().on(Method::PUT, Upload, &[], change::<Program>(within(programs::replace))),
        all::<Task>(),
        one::<Task>(),
        all::<Schedule>(),
        one::<Schedule>(),
        all::<HostTask>(),
        one::<HostTask>(),
        all::<TaskSchedule>(),
        one::<TaskSchedule>(),
        listed::<Downtime>().on(Method::POST, Tend, &[], change::<Downtime>(within(d::create::<Downtime>))),
        changed::<Downtime>(Tend).on(Method::PUT, Tend, &[], change::<Downtime>(within(d::replace::<Downtime>))),
        all::<Contact>(),
        one::<Contact>(),
        all::<Action>(),
        one::<Action>(),
        at("/actions/{name}/test").on(Method::POST, Try, &["result"], within(action_test::test)),
        all::<Key>(),
        one::<Key>(),
        at("/apply").on(Method::POST, Upload, &["dry_run", "prune", "documents"], within(apply::apply)),
        at("/export").get(&[], within(export::export)),
        at("/rotate-key").on(Method::POST, Write, &[], all_hosts(rotate_key::rotate)),
        at("/runs").get(&[LIMIT, CURSOR], within(runs::list)),
        at("/runs/{id}").get(&[], within(runs::get)).on(Method::DELETE, Run, &[], within(runs::cancel)),
        at("/runs/{id}/output").on(Method::GET, Follow, &[], within(live::output)),
        at("/results").get(RESULTS, within(results::list)),
        at("/results/{id}").get(&[], within(results::get)),
        at("/results/{id}/stdout").on(Method::GET, Download, &[], within(results::stdout)),
        at("/results/{id}/stderr").on(Method::GET, Download, &[], within(results::stderr)),
        at("/results/{id}/trace").get(&[], within(trace::show)),
        at("/notifications").get(NOTIFICATIONS, within(notifications::list)),
        at("/status").get(STATUS, within(status::list)),
        at("/status/summary").get(&[], within(status::summary)),
        at("/host-statuses").get(HOST_STATUSES, within(status::hosts)),
        at("/status/{host}").get(&[], the_host(status::host)),
        acknowledged("/status/{host}/ack"),
        at("/status/{host}/{task}").get(&["n"], the_host(status::pair)),
        acknowledged("/status/{host}/{task}/ack"),
        at("/audit").get(AUDIT, all_hosts(audit::list)),
        at("/pause").on(Method::POST, Tend, &[], within(pause::pause).of_all()),
        at("/resume").on(Method::POST, Tend, &[], within(pause::resume).of_all()),
        at("/stats").get(&[], all_hosts(stats::stats)),
        at("/events").on(Method::GET, Follow, &["host", "task"], within(events::events)),
        at_root("/openapi.json").on(Method::GET, Public, &[], no_host(openapi::show)),
        at_root("/docs").on(Method::GET, Public, &[], no_host(openapi::page::show)),
        at_root("/metrics").on(Method::GET, Scrape, &[], all_hosts(metrics::show)),
        at_root("/health/live").on(Method::GET, Probe, &[], no_host(health::live)),
        at_root("/health/ready").on(Method::GET, Probe, &[], no_host(health::ready)),
        at_root("/health/actors").get(&[], within(health::actors)),
        at_root("/health/actors/{host}").get(&[], the_host(health::host)),
    ]
}

/// Puts the URL tree into an actix-web application.
pub fn configure(app: &mut ServiceConfig, state: Data<State>) {
    let (root, api): (Vec<At>, Vec<At>) = routes().into_iter().partition(At::is_at_root);
    app.app_data(state).service(of_api(api));
    for at in root {
        app.service(at.resource());
    }
    app.default_service(nothing(NothingPublic));
}

/// `/NOUNS`.
fn all<T: Served>() -> At {
    listed::<T>().on(Method::POST, Write, &[], change::<T>(within(d::create::<T>)))
}

/// `/NOUNS` without what creates.
fn listed<T: Served>() -> At {
    at(&format!("/{}", T::NOUN.url())).get(&["selector", "q", LIMIT, CURSOR], within(d::list::<T>))
}

/// What changes a noun: where none of it is for one host alone, a key must be for all of them.
fn change<T: Served>(reach: Reach) -> Reach {
    if T::NOUN.may_concern_one_host() { reach } else { reach.of_all() }
}

/// `/NOUNS/NAME`.
fn one<T: Served>() -> At {
    kept::<T>().on(Method::PUT, Write, &[], change::<T>(within(d::replace::<T>)))
}

/// `/NOUNS/NAME` without what replaces.
fn kept<T: Served>() -> At {
    changed::<T>(Write)
}

/// `/NOUNS/NAME` without what replaces; changing it is this operation.
fn changed<T: Served>(operation: Operation) -> At {
    at(&format!("/{}/{{name}}", T::NOUN.url()))
        .get(&[], within(d::get::<T>))
        .on(Method::PATCH, operation, &[], change::<T>(within(d::patch::<T>)))
        .on(Method::DELETE, operation, &["cascade"], change::<T>(within(d::delete::<T>)))
}

/// `…/ack`.
fn acknowledged(path: &str) -> At {
    at(path).on(Method::POST, Tend, &[], the_host(ack::acknowledge)).on(
        Method::DELETE,
        Tend,
        &[],
        the_host(ack::take_back),
    )
}
