//! `GET /metrics`: figures for Prometheus. Base units (seconds, bytes), counters since the start of the process, and no
//! label whose values grow with the fleet: no host, no task, no run. Actions are few.

use actix_web::http::StatusCode;

use super::State;
use super::call::Call;
use super::exposition::{Exposition, TEXT};
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::{ActionFigures, ReceiverState, SinkFigures, Stats};
use crate::model::{Outcome, StatusSummary, Timestamp};

/// The figures.
pub async fn show(call: Call) -> Result<Reply, Problem> {
    let stats = call.handle().stats();
    let mut out = Exposition::default();
    process(&mut out, &call, &stats);
    standing(&mut out, &stats.summary);
    runs(&mut out, &call, &stats);
    connections(&mut out, &call, &stats);
    store(&mut out, &call, &stats).await;
    retention(&mut out, &call);
    actions(&mut out, &stats);
    requests(&mut out, call.state());
    Ok(Reply::new(StatusCode::OK, TEXT, out.into_text()))
}

fn process(out: &mut Exposition, call: &Call, stats: &Stats) {
    let handle = call.handle();
    let about =
        [("version", env!("CARGO_PKG_VERSION")), ("node", handle.node_name().as_str()), ("store", handle.store_kind())];
    out.gauge("alf_build_info", "What serves; always 1.").of(&about, 1);
    out.gauge("alf_start_time_seconds", "When the process started, in seconds since the Unix epoch.")
        .is(seconds(handle.started_at()));
    let mut restarts = out.counter("alf_actor_restarts_total", "Actors that were built anew after their end.");
    for (actor, count) in stats.restarts {
        restarts.of(&[("actor", actor)], count);
    }
    let mut definitions = out.gauge("alf_definitions", "Definitions, by noun.");
    for (noun, count) in &stats.totals {
        definitions.of(&[("noun", noun.plural())], count);
    }
}

fn standing(out: &mut Exposition, summary: &StatusSummary) {
    out.gauge("alf_paused", "Whether all firing is stopped: 1 or 0.").is(u8::from(summary.paused));
    let mut hosts = out.gauge("alf_hosts", "Hosts, by state; PENDING: not connected to yet.");
    for (state, count) in [
        ("UP", summary.hosts_up),
        ("DOWN", summary.hosts_down),
        ("UNREACHABLE", summary.hosts_unreachable),
        ("PENDING", summary.hosts_pending),
    ] {
        hosts.of(&[("state", state)], count);
    }
    let mut pairs = out.gauge("alf_pairs", "Tasks on hosts, by state; PENDING: not run yet.");
    for (state, count) in [
        ("OK", summary.ok),
        ("WARNING", summary.warning),
        ("CRITICAL", summary.critical),
        ("UNKNOWN", summary.unknown),
        ("PENDING", summary.pending),
    ] {
        pairs.of(&[("state", state)], count);
    }
}

fn runs(out: &mut Exposition, call: &Call, stats: &Stats) {
    let counts = &call.handle().board().counts;
    out.gauge("alf_runs", "Runs that have not ended, by state.")
        .of(&[("state", "running")], stats.running)
        .of(&[("state", "queued")], stats.queued);
    let mut started = out.counter("alf_runs_started_total", "Runs whose command was started, by what started them.");
    for (trigger, count) in counts.runs_started() {
        started.of(&[("trigger", &trigger.to_string())], count);
    }
    let mut results = out.counter(
        "alf_results_total",
        "Results that were stored: runs that ended and instants that were skipped, by outcome and reason.",
    );
    for (reason, count) in counts.results() {
        let outcome = reason.map_or(Outcome::Ok, |reason| reason.verdict().0).to_string();
        let reason = reason.map_or(String::new(), |reason| reason.to_string());
        results.of(&[("outcome", &outcome), ("reason", &reason)], count);
    }
    out.counter("alf_results_lost_total", "Results that could not be stored at all.").is(counts.lost.get());
    let help = "From when runs were due to the start of their command.";
    out.histogram("alf_run_lateness_seconds", help, &counts.lateness);
    let help = "From the start of runs to their end.";
    out.histogram("alf_run_duration_seconds", help, &counts.durations);
}

fn connections(out: &mut Exposition, call: &Call, stats: &Stats) {
    let counts = &call.handle().board().counts;
    out.gauge("alf_ssh_connections", "SSH connections that are open.").is(stats.connections);
    out.counter("alf_ssh_logins_total", "SSH connections that came about.").is(counts.logins.get());
    let mut failures = out.counter("alf_ssh_connect_failures_total", "SSH connections that did not, by why.");
    for (reason, count) in counts.connect_failures() {
        failures.of(&[("reason", &reason.to_string())], count);
    }
}

async fn store(out: &mut Exposition, call: &Call, stats: &Stats) {
    out.gauge("alf_store_up", "Whether the store takes writes: 1 or 0.").is(u8::from(stats.store_is_up));
    out.gauge("alf_store_queue", "Writes that wait for the store.").is(stats.store_queue);
    out.counter("alf_store_commits_total", "Transactions that wrote to the ledger.").is(stats.commits);
    // A store that is away is told by the figures above; the others are still of use then.
    if let Ok(stored) = call.handle().stored().await {
        out.gauge("alf_store_results", "Results in the store.").is(stored.results);
        if let Some(bytes) = stored.bytes {
            out.gauge("alf_store_size_bytes", "What the store takes on disk.").is(bytes);
        }
        if let Some(oldest) = stored.oldest {
            out.gauge("alf_store_oldest_result_timestamp_seconds", "From when the oldest Result is.")
                .is(seconds(oldest));
        }
    }
}

fn retention(out: &mut Exposition, call: &Call) {
    let sweeper = &call.handle().sweeper;
    out.counter("alf_retention_removed_total", "Old results that were removed.").is(sweeper.removed.get());
    if let Some(last) = sweeper.last() {
        out.gauge("alf_retention_last_run_timestamp_seconds", "When it was last looked for old results.")
            .is(seconds(last.at));
        out.gauge("alf_retention_last_run_duration_seconds", "How long that took.").is(last.took.as_secs_f64());
        out.gauge("alf_retention_last_run_removed", "How many results it removed.").is(last.swept.all());
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

fn actions(out: &mut Exposition, stats: &Stats) {
    out.gauge("alf_events_waiting", "Events that Actions are not looked at for yet.").is(stats.events_waiting);
    type Figure = fn(&ActionFigures) -> u64;
    let counters: [(_, _, Figure); 4] = [
        ("alf_action_fired_total", "What Actions sent or started; Results measured.", |of| of.fired),
        ("alf_action_held_total", "What downtimes, quiet hours and the like kept Actions from telling.", |of| of.held),
        ("alf_action_throttled_total", "What throttle and limit kept Actions from telling.", |of| of.throttled),
        ("alf_action_failed_total", "What Actions could not send; measurements that are lost.", |of| of.failed),
    ];
    for (name, help, figure) in counters {
        let mut family = out.counter(name, help);
        for one in &stats.actions {
            family.of(&[("action", one.action.as_str())], figure(one));
        }
    }
    let mut queued = out.gauge("alf_action_queued", "What Actions have still to send; measurements that wait.");
    for one in &stats.actions {
        queued.of(&[("action", one.action.as_str())], one.queued);
    }
    let mut up = out.gauge("alf_action_receiver_up", "Whether the receiver of an Action took what it was sent last.");
    for one in stats.actions.iter().filter(|one| one.state != ReceiverState::Disabled) {
        up.of(&[("action", one.action.as_str())], u8::from(one.state == ReceiverState::Up));
    }
    sinks(out, stats);
}

fn sinks(out: &mut Exposition, stats: &Stats) {
    let sinks = || stats.actions.iter().filter_map(|one| Some((one.action.as_str(), one.sink?)));
    type Figure = fn(&SinkFigures) -> u64;
    let counters: [(_, _, Figure); 3] = [
        ("alf_sink_points_sent_total", "Points that receivers of measurements were sent.", |sink| sink.sent),
        ("alf_sink_points_refused_total", "Points that receivers of measurements refused.", |sink| sink.failed),
        ("alf_sink_points_dropped_total", "Points that were too many, or too old.", |sink| sink.dropped),
    ];
    for (name, help, figure) in counters {
        let mut family = out.counter(name, help);
        for (action, sink) in sinks() {
            family.of(&[("action", action)], figure(&sink));
        }
    }
    let gauges: [(_, _, Figure); 3] = [
        ("alf_sink_queue_points", "Points that wait in memory.", |sink| sink.queue),
        ("alf_sink_spool_points", "Points that wait on disk.", |sink| sink.spooled),
        ("alf_sink_spool_bytes", "What points take that wait on disk.", |sink| sink.spooled_bytes),
    ];
    for (name, help, figure) in gauges {
        let mut family = out.gauge(name, help);
        for (action, sink) in sinks() {
            family.of(&[("action", action)], figure(&sink));
        }
    }
}

fn requests(out: &mut Exposition, state: &State) {
    out.gauge("alf_http_connections", "Connections of clients that are open.").is(state.admission.open());
    let mut answered = out.counter("alf_http_requests_total", "Requests that were answered, by method and status.");
    for (method, status, count) in state.traffic.answered() {
        answered.of(&[("method", method), ("status", status)], count);
    }
    let help = "From the head of requests to the end of their answers.";
    out.histogram("alf_http_request_duration_seconds", help, &state.traffic.durations);
    out.counter("alf_http_bad_keys_total", "Requests with a key that is not known.").is(state.bad_keys.total.get());
}
