//! Notifications: who was told what, and what was not told, and why.

use super::call::Call;
use super::page::{CURSOR, Page, Wanted};
use super::problem::Problem;
use super::reply::Reply;
use crate::model::action::{RunOn, Then};
use crate::model::{Catalog, Name, Notification, NotificationQuery, Rights, RunId};

/// `GET /notifications`: newest first.
pub async fn list(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "notifications");
    let before: Option<RunId> = wanted
        .after
        .as_ref()
        .and_then(|after| after.parse().map_err(|_| query.fault(CURSOR, "is not a cursor of this list")).ok());
    let catalog = call.handle().catalog();
    let host = query.name("host");
    if let Some(host) = host.as_ref().filter(|host| catalog.hosts.contains_key(*host)) {
        rights.check(host, &catalog)?;
    }
    let asked = NotificationQuery {
        among: rights.covered(&catalog),
        contact: query.name("contact"),
        action: query.name("action"),
        host,
        task: query.name("task"),
        outcome: query.word("outcome"),
        kind: query.word("type"),
        state: query.word("state"),
        since: query.take("since"),
        until: query.take("until"),
        before,
        limit: wanted.limit,
    };
    query.done()?;
    let found = call.handle().notifications(asked).await?;
    let page = Page {
        items: found.items.into_iter().map(|one| seen(one, &rights, &catalog)).collect(),
        next: found.next.map(|last| wanted.cursor(&last.to_string())),
        total: found.total,
    };
    call.page(("notifications", "notification"), &page)
}

/// A notification as it is for whoever asks: where something runs elsewhere, that is for those only whose all hosts are.
pub fn seen(one: Notification, rights: &Rights, catalog: &Catalog) -> Notification {
    if rights.limit().is_none() || one.run.is_none() || runs_where_it_happened(&one.action, catalog) {
        return one;
    }
    Notification { run: None, detail: "a task, which may run on other hosts".to_owned(), ..one }
}

fn runs_where_it_happened(action: &Name, catalog: &Catalog) -> bool {
    let then = catalog.actions.get(action).map(|action| &action.then);
    matches!(then, Some(Then::Run(fire)) if fire.on == RunOn::SameHost)
}
