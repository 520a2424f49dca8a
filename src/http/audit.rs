//! The audit: who changed or started what, when, from where.

use super::call::Call;
use super::page::{CURSOR, Page, Wanted};
use super::problem::Problem;
use super::reply::Reply;
use crate::model::{AuditQuery, Name, Noun, RunId};

/// `GET /audit`: newest first. It tells of all hosts, so it is for keys of all.
pub async fn list(call: Call) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "audit");
    let before: Option<RunId> = wanted
        .after
        .as_ref()
        .and_then(|after| after.parse().map_err(|_| query.fault(CURSOR, "is not a cursor of this list")).ok());
    let noun = query.text("noun").and_then(|text| {
        let noun = Noun::parse(text);
        if noun.is_none() {
            query.fault("noun", format!("must be one of {}", Noun::ALL.map(Noun::singular).join(", ")));
        }
        noun
    });
    // The name of any noun: those of links may hold more than others.
    let name =
        query.text("name").and_then(|text| Name::parse_link(text).map_err(|error| query.fault("name", error)).ok());
    let asked = AuditQuery {
        by: query.name("by"),
        noun,
        name,
        verb: query.word("verb"),
        since: query.take("since"),
        until: query.take("until"),
        before,
        limit: wanted.limit,
    };
    query.done()?;
    let found = call.handle().audit(asked).await?;
    let next = found.next.map(|last| wanted.cursor(&last.to_string()));
    let page = Page { items: found.items, next, total: found.total };
    call.page(("audit_entries", "audit_entry"), &page)
}
