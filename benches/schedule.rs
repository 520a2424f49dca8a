//! What the scheduler, the ledger, the status and the API cost, with hosts that are fakes and a store that is real: one
//! measurement a call, one line of JSON. `script/bench schedule` and `script/bench api` call this and make the tables.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own: the figures go to standard output, what went wrong to standard error"
)]

#[path = "schedule/api.rs"]
mod api;
#[path = "schedule/keep.rs"]
mod keep;
#[path = "schedule/ledger.rs"]
mod ledger;
#[path = "schedule/place.rs"]
mod place;
mod support;
#[path = "schedule/world.rs"]
mod world;

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use alf::model::{Outcome, Timestamp};
use alf::ssh::fake::FakeExec;
use clap::{Parser, Subcommand};
use place::{Place, Server};
use serde_json::{Value, json};
use support::{Failure, cpu_ms, memory_kib, percentiles};
use tokio::time::Instant;
use world::{COMMAND, Fleet, History, Running, lateness};

#[derive(Parser)]
#[command(about = "Measures Alf's scheduler, ledger, status and API on fake hosts; prints one line of JSON")]
struct Arguments {
    /// Cargo says so; it means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// How late runs start.
    Lateness {
        /// How many hosts.
        #[arg(long, default_value_t = 100)]
        hosts: usize,
        /// Tasks on each.
        #[arg(long, default_value_t = 10)]
        tasks: usize,
        /// When all of them are due.
        #[arg(long, default_value = "* * * * *")]
        cron: String,
        /// For how long.
        #[arg(long, default_value_t = 130)]
        seconds: u64,
        /// Every Result goes to Graphite and to a webhook, which take connections and never answer.
        #[arg(long)]
        actions: bool,
    },
    /// Results through claims and saves, and the same rows inserted in bare batches.
    Ledger {
        /// How many.
        #[arg(long, default_value_t = 50_000)]
        results: usize,
        /// How many at once.
        #[arg(long, default_value_t = 512)]
        at_once: usize,
        #[command(flatten)]
        server: Server,
    },
    /// Makes a store for `start` and `status`.
    Prepare {
        #[command(flatten)]
        place: Place,
        /// How many hosts.
        #[arg(long, default_value_t = 1000)]
        hosts: usize,
        /// Tasks on each.
        #[arg(long, default_value_t = 100)]
        tasks: usize,
        /// When all of them are due.
        #[arg(long, default_value = "0 0 1 1 *")]
        cron: String,
        /// Every pair has a full list of last Results.
        #[arg(long)]
        history: bool,
        /// Alf was down for so many hours.
        #[arg(long, default_value_t = 0)]
        down: i64,
    },
    /// A start on a store: how long, and how much memory.
    Start {
        #[command(flatten)]
        place: Place,
        /// How long to look on afterwards.
        #[arg(long, default_value_t = 0)]
        seconds: u64,
    },
    /// `GET /status`, over HTTP.
    Status {
        #[command(flatten)]
        place: Place,
        /// Requests of each kind.
        #[arg(long, default_value_t = 100)]
        requests: usize,
    },
    /// Puts Results into a store that `prepare` has made.
    Fill {
        #[command(flatten)]
        place: Place,
        /// How many hosts it has.
        #[arg(long, default_value_t = 1000)]
        hosts: usize,
        /// Tasks on each.
        #[arg(long, default_value_t = 1)]
        tasks: usize,
        /// How many Results.
        #[arg(long, default_value_t = 1_000_000)]
        results: usize,
    },
    /// Start, pages and retention of a store that `prepare` and `fill` have made.
    Keep {
        #[command(flatten)]
        place: Place,
    },
    /// The API, and a bare route to compare it with, until standard input ends.
    Serve {
        #[command(flatten)]
        place: Place,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `cargo bench` without more starts every bench; this one is a matter of minutes.
    let Some(what) = arguments.what else {
        eprintln!("schedule: nothing measured: run script/bench schedule");
        return ExitCode::SUCCESS;
    };
    match actix_rt::System::new().block_on(measure(what)) {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("schedule: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(what: What) -> Result<Value, Failure> {
    match what {
        What::Lateness { hosts, tasks, cron, seconds, actions } => {
            // Never asked for a connection: the system takes them, and nobody reads.
            let receiver = actions.then(|| TcpListener::bind("127.0.0.1:0")).transpose()?;
            let hangs = receiver.as_ref().map(TcpListener::local_addr).transpose()?;
            run_for(Fleet { hosts, tasks, cron, history: History::None, down_hours: 0, hangs }, seconds).await
        }
        What::Ledger { results, at_once, server } => ledger::measure(results, at_once, server).await,
        What::Prepare { place, hosts, tasks, cron, history, down } => {
            let history = if history { History::Full } else { History::None };
            let fleet = Fleet { hosts, tasks, cron, history, down_hours: down, hangs: None };
            fleet.prepare(&place).await?;
            Ok(json!({"pairs": hosts * tasks}))
        }
        What::Start { place, seconds } => start(&place, seconds).await,
        What::Fill { place, hosts, tasks, results } => api::fill(&place, hosts, tasks, results).await,
        What::Keep { place } => keep::measure(&place).await,
        What::Serve { place } => api::serve(&place).await,
        What::Status { place, requests } => status(&place, requests).await,
    }
}

/// Lets a fleet run for a while and looks at how late its runs were.
async fn run_for(fleet: Fleet, seconds: u64) -> Result<Value, Failure> {
    let dir = tempfile::tempdir()?;
    let place = Place::directory(dir.path());
    fleet.prepare(&place).await?;
    let alf = Running::start(&place, false).await?;
    alf.hosts.on_command(COMMAND, FakeExec::exit(0).stdout("all is well\n").after(Duration::from_millis(20)));
    let cpu = cpu_ms()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let cpu = cpu_ms()? - cpu;
    alf.stop().await?;
    let late = lateness(dir.path())?;
    let ran = late.iter().filter(|(outcome, _)| *outcome == Outcome::Ok.to_string()).count();
    let ms: Vec<f64> = late.iter().filter_map(|(_, late)| *late).collect();
    Ok(json!({"pairs": fleet.hosts * fleet.tasks, "results": late.len(), "ran": ran, "seconds": seconds, "cpu_ms": cpu,
        "cpu_ms_each": cpu / late.len().max(1) as f64, "late_ms": percentiles(ms)}))
}

/// From the opening of the store until Alf says that it is ready, and until every pair knows its next instant.
async fn start(place: &Place, seconds: u64) -> Result<Value, Failure> {
    let (before, begun, cpu) = (memory_kib("VmRSS")?, Instant::now(), cpu_ms()?);
    let alf = Running::start(place, false).await?;
    while !alf.app.handle.ready().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ready = begun.elapsed().as_secs_f64() * 1000.0;
    let now = alf.app.handle.now();
    let queue = || alf.app.handle.writer.waiting();
    let mut most_waiting = queue();
    let pairs = loop {
        // Counted where they stand: a copy of all rows would be measured too.
        let (rows, armed) = alf.app.handle.with_status(|all, row| {
            let armed = |next: Timestamp| next > now;
            all.of(|_| true).fold((0, 0), |(rows, sum), one| {
                (rows + 1, sum + usize::from(row(&one, 0).next_run_at.is_some_and(armed)))
            })
        });
        if rows > 0 && rows == armed && rows == alf.pairs()? {
            break rows;
        }
        most_waiting = most_waiting.max(queue());
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let (armed, cpu) = (begun.elapsed().as_secs_f64() * 1000.0, cpu_ms()? - cpu);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let kib = memory_kib("VmRSS")?.saturating_sub(before);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let late = alf.app.handle.board().lateness_ms();
    alf.stop().await?;
    Ok(json!({"pairs": pairs, "ready_ms": ready, "armed_ms": armed, "cpu_ms": cpu, "kib": kib,
        "bytes_each": kib as f64 * 1024.0 / pairs as f64, "store_queue_max": most_waiting,
        "results": lateness(&place.dir)?.len(), "late_ms_p50_p99": late}))
}

/// Several ways to ask for the status, each so many times.
async fn status(place: &Place, requests: usize) -> Result<Value, Failure> {
    let alf = Running::start(place, true).await?;
    while alf.app.handle.status().len() < alf.pairs()? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let first = alf.get("status?limit=100").await?.0;
    let next = serde_json::from_slice::<Value>(&first)?["next"].as_str().unwrap_or_default().to_owned();
    let mut figures = serde_json::Map::new();
    for query in [
        "status".to_owned(),
        "status?state=CRITICAL".to_owned(),
        "status?selector=role%3Dweb&outcome=PROBLEM&limit=1000".to_owned(),
        "status?task=task050&n=50".to_owned(),
        "status?limit=1000".to_owned(),
        format!("status?limit=100&cursor={next}"),
        "status/summary".to_owned(),
    ] {
        let mut took = Vec::new();
        let mut items = 0;
        for _ in 0..requests {
            let begun = Instant::now();
            let (body, _) = alf.get(&query).await?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
            items = serde_json::from_slice::<Value>(&body)?["items"].as_array().map_or(1, Vec::len);
        }
        let name = query.split("&cursor").next().unwrap_or_default().to_owned();
        figures.insert(name, json!({"rows": items, "ms": percentiles(took)}));
    }
    let rows = alf.app.handle.status().len();
    alf.stop().await?;
    Ok(json!({"pairs": rows, "queries": figures}))
}
