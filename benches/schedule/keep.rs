//! A store of a million Results: its start, pages of it idle and while Results are written as fast as they go, and what
//! retention costs those who write.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alf::actors::store::StoreWriter;
use alf::clock::Clock;
use alf::model::{Keep, Limit, Name, Retention, RunIds, Span, State};
use alf::store::Write;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::place::Place;
use crate::support::{Failure, percentiles};
use crate::world::{Running, finished};

/// Requests of each kind.
const REQUESTS: usize = 300;

/// Writes Results until it is told to stop, so many a commit, with a rest between two; how long each commit took in
/// milliseconds.
async fn write(
    writer: StoreWriter,
    stop: Arc<AtomicBool>,
    at_once: usize,
    rest: Duration,
) -> Result<(usize, Vec<f64>), String> {
    let (ids, mut took, mut written) = (RunIds::default(), Vec::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let mut writes = Vec::new();
        for _ in 0..at_once {
            let now = Clock::Wall.now().into();
            let host = Name::parse(&format!("host{:05}", written % 1000)).map_err(|error| error.to_string())?;
            let task = Name::parse("task000").map_err(|error| error.to_string())?;
            let (result, _) = finished(ids.next(now), &host, &task, now, State::Ok);
            writes.push(Write::Save { result: Box::new(result), status: None, until: None });
            written += 1;
        }
        let begun = Instant::now();
        writer.write(writes).await.map_err(|error| error.to_string())?;
        took.push(begun.elapsed().as_secs_f64() * 1000.0);
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
    Ok((written, took))
}

async fn pages(alf: &Running) -> Result<Value, Failure> {
    let mut figures = serde_json::Map::new();
    for (name, query) in [
        ("status of a pair, last 20", "status/host00007/task000?n=20"),
        ("results of a pair, 20", "results?host=host00007&task=task000&limit=20"),
        ("results, 100", "results?limit=100"),
        ("results outcome=PROBLEM, 100", "results?outcome=PROBLEM&limit=100"),
    ] {
        let mut took = Vec::new();
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            alf.get(query).await?;
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        figures.insert(name.to_owned(), percentiles(took));
    }
    Ok(Value::Object(figures))
}

/// All of it, on a store of which nothing much is left.
pub(crate) async fn measure(place: &Place) -> Result<Value, Failure> {
    let begun = Instant::now();
    let alf = Running::start(place, true).await?;
    while !alf.app.handle.ready().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ready = begun.elapsed().as_secs_f64() * 1000.0;
    let idle = pages(&alf).await?;
    let writing = |at_once, rest| {
        let stop = Arc::new(AtomicBool::new(false));
        let job = actix_rt::spawn(write(alf.app.handle.writer.clone(), Arc::clone(&stop), at_once, rest));
        (stop, job)
    };
    let (stop, job) = writing(500, Duration::ZERO);
    let begun = Instant::now();
    let loaded = pages(&alf).await?;
    stop.store(true, Ordering::Relaxed);
    let (written, _) = job.await??;
    let a_second = written as f64 / begun.elapsed().as_secs_f64();

    // What commits take without retention, then with it.
    let (stop, job) = writing(100, Duration::from_millis(20));
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.store(true, Ordering::Relaxed);
    let (_, before) = job.await??;
    let size = |counts: alf::store::StoreCounts| json!({"results": counts.results, "bytes": counts.bytes, "used": counts.used});
    let was = size(alf.app.handle.stored().await?);
    let (stop, job) = writing(100, Duration::from_millis(20));
    let minute = Limit::After(Span::seconds(60));
    let keep = Keep { max_age: minute, max_count: None, keep_problems: minute };
    let begun = Instant::now();
    let swept = alf.app.handle.sweep(Some(Retention { keep, max_bytes: None })).await?;
    let seconds = begun.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let (_, while_swept) = job.await??;
    let is = size(alf.app.handle.stored().await?);
    alf.stop().await?;
    place.server.clear().await?;
    Ok(json!({"ready_ms": ready, "idle_ms": idle, "loaded_ms": loaded, "written_a_second": a_second,
        "removed": swept.all(), "seconds": seconds, "commits_ms": percentiles(while_swept),
        "commits_without_ms": percentiles(before), "before": was, "after": is}))
}
