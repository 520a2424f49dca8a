//! The HTTP API: the whole URL tree is [`configure`], on one screen.
//!
//! * `route.rs`        a path, its methods, and what answers the others
//! * `call.rs`         one request from its arrival to its answer; `intake.rs` its body, `reply.rs` its answer
//! * `auth.rs`         operations and the roles they need; `bad_keys.rs` who shows too many bad keys
//! * `negotiate.rs`    JSON or XML; `format/` reading and writing them; `body.rs` a body as a document, all its faults
//! * `problem.rs`      errors, and the only place that knows their status codes
//! * `query.rs`, `page.rs`, `condition.rs`, `merge_patch.rs`   parameters, pages, entity tags, patches
//! * `definitions.rs`  the calls that all nouns share; `nouns.rs` what each noun adds; `programs.rs` files
//! * `start.rs`        starting runs; `live.rs` what they write while they run
//! * `runs.rs`, `results.rs`, `status.rs`, `preview.rs`, `stats.rs`, `health.rs`, `root.rs`   the other calls
//! * `host_key.rs`, `doctor.rs`     host keys by hand; what is wrong with a host
//! * `rotate_key.rs`   another encryption key
//! * `server.rs`       the listening server

pub mod auth;
pub mod bad_keys;
pub mod body;
pub mod call;
pub mod condition;
pub mod definitions;
pub mod doctor;
pub mod format;
pub mod health;
pub mod host_key;
pub mod intake;
pub mod live;
pub mod merge_patch;
pub mod negotiate;
pub mod nouns;
pub mod page;
pub mod preview;
pub mod problem;
pub mod programs;
pub mod query;
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

use actix_web::http::Method;
use actix_web::web::{self, Data, ServiceConfig};

use crate::actors::handle::AlfHandle;
use crate::model::{Credential, Host, HostTask, Key, Program, Schedule, Task, TaskSchedule};
use auth::Operation::{Ask, Download, Exec, Follow, Nothing, NothingPublic, Probe, Run, Upload, Write};
use bad_keys::BadKeys;
use definitions as d;
use nouns::Served;
use page::{CURSOR, LIMIT};
use route::{At, at, at_root, nothing};
pub use server::{HttpConfig, server};

/// What all workers share.
pub struct State {
    handle: AlfHandle,
    body_limit: usize,
    bad_keys: BadKeys,
}

impl State {
    /// The way inside, and the largest request body in bytes.
    pub fn new(handle: AlfHandle, body_limit: usize) -> Self {
        Self { handle, body_limit, bad_keys: BadKeys::default() }
    }
}

/// The URL tree. What stands first is matched first. Reading is for every role; what a route does beyond that is said.
pub fn configure(app: &mut ServiceConfig, state: Data<State>) {
    const RESULTS: &[&str] =
        &["host", "task", "outcome", "state", "reason", "trigger", "group", "since", "until", LIMIT, CURSOR];
    const STATUS: &[&str] = &["host", "task", "outcome", "state", "selector", "n", LIMIT, CURSOR];
    let api = web::scope("/api/v1")
        .service(at("").get(&[], root::describe).end())
        .service(at("/").get(&[], root::describe).end())
        .service(at("/schedules/preview").get(&["cron", "timezone", "from", "count"], preview::preview).end())
        .service(at("/hosts/{host}/host-key").on(Method::GET, Ask, &[], host_key::show).end())
        .service(at("/hosts/{host}/doctor").on(Method::POST, Ask, &[], doctor::examine).end())
        .service(at("/hosts/{host}/trust").on(Method::POST, Write, &[], host_key::trust).end())
        .service(at("/hosts/{host}/forget-key").on(Method::POST, Write, &[], host_key::forget).end())
        .service(at("/hosts/{host}/tasks/{task}/run").on(Method::POST, Run, &["wait"], start::task).end())
        .service(at("/hosts/{host}/exec").on(Method::POST, Exec, &["wait"], start::exec).end())
        .service(at("/tasks/{task}/run").on(Method::POST, Run, &[], start::task_on_many).end())
        .service(at("/exec").on(Method::POST, Exec, &[], start::exec_on_many).end())
        .service(all::<Credential>().end())
        .service(one::<Credential>().end())
        .service(all::<Host>().end())
        .service(one::<Host>().end())
        .service(listed::<Program>().on(Method::POST, Upload, &[], programs::create).end())
        .service(kept::<Program>().on(Method::PUT, Upload, &[], programs::replace).end())
        .service(all::<Task>().end())
        .service(one::<Task>().end())
        .service(all::<Schedule>().end())
        .service(one::<Schedule>().end())
        .service(all::<HostTask>().end())
        .service(one::<HostTask>().end())
        .service(all::<TaskSchedule>().end())
        .service(one::<TaskSchedule>().end())
        .service(all::<Key>().end())
        .service(one::<Key>().end())
        .service(at("/rotate-key").on(Method::POST, Write, &[], rotate_key::rotate).end())
        .service(at("/runs").get(&[LIMIT, CURSOR], runs::list).end())
        .service(at("/runs/{id}").get(&[], runs::get).on(Method::DELETE, Run, &[], runs::cancel).end())
        .service(at("/runs/{id}/output").on(Method::GET, Follow, &[], live::output).end())
        .service(at("/results").get(RESULTS, results::list).end())
        .service(at("/results/{id}").get(&[], results::get).end())
        .service(at("/results/{id}/stdout").on(Method::GET, Download, &[], results::stdout).end())
        .service(at("/results/{id}/stderr").on(Method::GET, Download, &[], results::stderr).end())
        .service(at("/status").get(STATUS, status::list).end())
        .service(at("/status/summary").get(&[], status::summary).end())
        .service(at("/status/{host}").get(&[], status::host).end())
        .service(at("/status/{host}/{task}").get(&["n"], status::pair).end())
        .service(at("/stats").get(&[], stats::stats).end())
        .default_service(nothing(Nothing));
    app.app_data(state)
        .service(api)
        .service(at_root("/health/live").on(Method::GET, Probe, &[], health::live).end())
        .service(at_root("/health/ready").on(Method::GET, Probe, &[], health::ready).end())
        .service(at_root("/health/actors").get(&[], health::actors).end())
        .service(at_root("/health/actors/{host}").get(&[], health::host).end())
        .default_service(nothing(NothingPublic));
}

/// `/NOUNS`.
fn all<T: Served>() -> At {
    listed::<T>().on(Method::POST, Write, &[], d::create::<T>)
}

/// `/NOUNS` without what creates.
fn listed<T: Served>() -> At {
    at(&format!("/{}", T::NOUN.url())).get(&["selector", "q", LIMIT, CURSOR], d::list::<T>)
}

/// `/NOUNS/NAME`.
fn one<T: Served>() -> At {
    kept::<T>().on(Method::PUT, Write, &[], d::replace::<T>)
}

/// `/NOUNS/NAME` without what replaces.
fn kept<T: Served>() -> At {
    at(&format!("/{}/{{name}}", T::NOUN.url())).get(&[], d::get::<T>).on(Method::PATCH, Write, &[], d::patch::<T>).on(
        Method::DELETE,
        Write,
        &["cascade"],
        d::delete::<T>,
    )
}
