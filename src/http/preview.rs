//! `GET /schedules/preview`: when a cron line would be due.

use actix_web::web;
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Call;
use super::problem::Problem;
use super::reply::Reply;
use crate::model::{CronLine, Timestamp, Timezone};

#[derive(Serialize, ToSchema)]
pub(super) struct Preview {
    cron: String,
    timezone: Timezone,
    description: String,
    next: Vec<Timestamp>,
}

/// The first `count` instants strictly after `from`.
pub async fn preview(call: Call) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let cron: Option<CronLine> = query.take("cron");
    if query.text("cron").is_none() {
        query.fault("cron", "is required");
    }
    let timezone = query.take("timezone").unwrap_or(call.handle().defaults().timezone);
    let from = query.take("from").unwrap_or_else(|| call.handle().now());
    let count = query.number("count", 1..=1000, 5);
    query.done()?;
    let Some(cron) = cron else {
        return Err(Problem::internal("a cron line that is there and not wrong was not read"));
    };
    // A line that is due once in four years takes a while to look through.
    let preview = web::block(move || {
        let mut next = Vec::new();
        let mut after = from.get();
        while next.len() < count
            && let Some(instant) = cron.next_after(timezone, after)
        {
            next.push(Timestamp::from(instant));
            after = instant;
        }
        Preview { cron: cron.as_str().to_owned(), timezone, description: cron.describe(), next }
    });
    let preview = preview.await.map_err(|_| Problem::unavailable("Alf is stopping"))?;
    call.document("preview", &preview)
}
