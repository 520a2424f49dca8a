//! Results: what became of each run.

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_DISPOSITION;

use super::call::Call;
use super::negotiate::Format;
use super::page::{Page, Wanted};
use super::problem::Problem;
use super::reply::Reply;
use super::runs::id;
use crate::model::{Bodies, Limit, ResultQuery, Rights, RunId, RunResult};

/// How output stands in a document of this form.
pub fn bodies(format: Format) -> Bodies {
    if format.is_xml() { Bodies::XmlText } else { Bodies::Text }
}

/// `GET /results`: newest first, without output.
pub async fn list(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "results");
    let before: Option<RunId> = wanted.after.as_ref().and_then(|after| {
        after.parse().map_err(|_| query.fault(super::page::CURSOR, "is not a cursor of this list")).ok()
    });
    let catalog = call.handle().catalog();
    let host = query.name("host");
    if let Some(host) = host.as_ref().filter(|host| catalog.hosts.contains_key(*host)) {
        rights.check(host, &catalog)?;
    }
    let asked = ResultQuery {
        among: rights.covered(&catalog),
        host,
        task: query.name("task"),
        outcome: query.word("outcome"),
        state: query.word("state"),
        reason: query.word("reason"),
        trigger: query.word("trigger"),
        group: query.text("group").and_then(|text| {
            let detail = "is not the id of a group (a UUID), which the answer to a run on many hosts tells";
            text.parse().map_err(|_| query.fault("group", detail)).ok()
        }),
        since: query.take("since"),
        until: query.take("until"),
        before,
        limit: wanted.limit,
    };
    query.done()?;
    let found = call.handle().results(asked).await?;
    let page = Page {
        items: found.items.iter().map(|result| result.document(Bodies::Left)).collect(),
        next: found.next.map(|last| wanted.cursor(&last.to_string())),
        total: found.total,
    };
    call.page(("results", "result"), &page)
}

/// `GET /results/ID`: 404 before the run has ended.
pub async fn get(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let result = find(&call, &rights).await?;
    call.document("result", &result.document(bodies(call.format)))
}

/// `GET /results/ID/stdout`: the bytes as they came.
pub async fn stdout(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let result = find(&call, &rights).await?;
    Ok(raw(result.id, "stdout", result.stdout.bytes))
}

/// `GET /results/ID/stderr`.
pub async fn stderr(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let result = find(&call, &rights).await?;
    Ok(raw(result.id, "stderr", result.stderr.bytes))
}

/// The Result in the path, if it is there and may be read.
pub async fn find(call: &Call, rights: &Rights) -> Result<RunResult, Problem> {
    let id = id(call)?;
    if let Some(result) = call.handle().result(id).await? {
        rights.check(&result.host, &call.handle().catalog())?;
        return Ok(result);
    }
    Err(match call.handle().open_run(id).await {
        Ok(_) => Problem::not_found(format!("run {id} has not ended: see /api/v1/runs/{id}")),
        Err(_) => Problem::not_found(gone(call, id)),
    })
}

/// That a Result is not there, and where it may have gone.
fn gone(call: &Call, id: RunId) -> String {
    let keep = call.handle().keep();
    let is_old =
        |age: Limit| age.get().is_some_and(|age| call.handle().now().millis() - id.millis() > age.as_millis() as i64);
    if is_old(keep.max_age) {
        format!("there is no result {id} (any more): results are kept for {}", keep.max_age)
    } else {
        format!("there is no result {id}")
    }
}

/// What a remote command wrote is never shown by a browser as anything but bytes.
fn raw(id: RunId, stream: &str, bytes: Vec<u8>) -> Reply {
    Reply::new(StatusCode::OK, "application/octet-stream", bytes)
        .with(CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{stream}\""))
}
