//! An Alf and, beside it, a bare actix-web route for comparison: both to be asked by a program of its own.

use std::io::Read as _;
use std::time::Duration;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use alf::clock::Clock;
use alf::model::{Name, RunIds, State, Timestamp};
use alf::ssh::fake::FakeExec;
use alf::store::Write;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::place::Place;
use crate::support::Failure;
use crate::world::{COMMAND, Running, finished};

/// What the bare route answers, at most.
const LARGEST: usize = 1 << 20;
/// Over so many days the Results of a store are spread.
const DAYS: i64 = 10;
/// Writes of one commit.
const BATCH: usize = 500;

/// Puts Results into a store, evenly over the pairs of its fleet and the last days.
pub(crate) async fn fill(place: &Place, hosts: usize, tasks: usize, results: usize) -> Result<Value, Failure> {
    let store = place.open().await?;
    let (ids, now) = (RunIds::default(), Clock::Wall.now());
    let step = TimeDelta::milliseconds(DAYS * 24 * 3_600_000 / i64::try_from(results.max(1))?);
    let mut writes = Vec::new();
    for number in 0..results {
        let pair = number % (hosts * tasks);
        let host = Name::parse(&format!("host{:05}", pair / tasks))?;
        let task = Name::parse(&format!("task{:03}", pair % tasks))?;
        let at = Timestamp::from(now - step * i32::try_from(results - number)?);
        let state = if number % 10 == 3 { State::Critical } else { State::Ok };
        let (result, _) = finished(ids.next(at), &host, &task, at, state);
        writes.push(Write::Save { result: Box::new(result), status: None, until: None });
        if writes.len() == BATCH {
            store.commit(std::mem::take(&mut writes)).await?;
        }
    }
    store.commit(writes).await?;
    store.close().await;
    Ok(json!({"results": results}))
}

/// Serves until its standard input ends; says first where, and with which key.
pub(crate) async fn serve(place: &Place) -> Result<Value, Failure> {
    let alf = Running::start(place, true).await?;
    alf.hosts.on_command(COMMAND, FakeExec::exit(0).stdout("all is well\n").after(Duration::from_millis(20)));
    while alf.app.handle.status().len() < alf.pairs()? {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let body = Bytes::from(vec![b'x'; LARGEST]);
    let bare = HttpServer::new(move || {
        let body = body.clone();
        let answer = move |bytes: web::Path<usize>| {
            let body = body.slice(..(*bytes).min(LARGEST));
            async move { HttpResponse::Ok().content_type("application/json").body(body) }
        };
        App::new().route("/bare/{bytes}", web::get().to(answer))
    });
    let bare = bare.workers(2).disable_signals().bind("127.0.0.1:0")?;
    let at = bare.addrs().first().copied().ok_or("nothing is listened on")?;
    let bare = bare.run();
    let stop = bare.handle();
    let running = actix_rt::spawn(bare);
    let address = alf.app.address.ok_or("there is no HTTP")?;
    println!("{}", json!({"alf": format!("http://{address}"), "bare": format!("http://{at}"), "key": alf.key()?}));
    // Until whoever started it is done.
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    stop.stop(false).await;
    running.await??;
    alf.stop().await?;
    Ok(json!({"stopped": true}))
}
