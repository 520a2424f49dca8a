//! What a parcel holds: what templates are filled with, what a task gets.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::actors::parts::NodeParts;
use crate::model::action::{Moment, On};
use crate::model::{
    AnyState, Bodies, Catalog, Contact, Given, Host, HostState, HostStatus, Name, NoticeKind, Occasion, Parcel,
    RunResult, StatusRow, Task, TextValue, Tiding, Timestamp,
};

/// Most bytes of either stream that a message holds, of all that it tells together: it is copied more than once. A task
/// gets all that was kept.
const MOST_OUTPUT: usize = 4 << 20;

/// What a parcel holds.
pub(super) struct Payload<'a> {
    parcel: &'a Parcel,
    contact: Option<&'a Contact>,
    recipients: Vec<Name>,
    items: Vec<Item<'a>>,
    now: Timestamp,
}

/// One thing that it tells, with all that is known of it now.
struct Item<'a> {
    tiding: &'a Tiding,
    host: Arc<Host>,
    host_status: HostStatus,
    task: Option<Arc<Task>>,
    pair: Option<StatusRow>,
    result: Option<RunResult>,
    /// What has happened, where that is not what the Result says.
    says: Option<String>,
}

/// What a task gets that is fired by a host's event.
#[derive(Serialize)]
struct HostEvent<'a> {
    #[serde(flatten)]
    status: &'a HostStatus,
    /// None: so it is told from a Result.
    task: Option<&'a Name>,
}

/// What has happened, where no Result says it: nothing has run, or not gone well, or a host is there again.
fn says(parts: &NodeParts, moment: Option<&Moment>, tiding: &Tiding, pair: Option<&StatusRow>) -> Option<String> {
    let Some(task) = &tiding.task else {
        let is_up = tiding.state == Some(AnyState::Host(HostState::Up));
        return is_up.then(|| format!("host {} is up", tiding.host));
    };
    match moment? {
        _ if tiding.kind != NoticeKind::Problem => None,
        Moment::On(On::Late) => Some(match parts.board.late_since(&tiding.host, task) {
            Some(by) => format!("no OK Result by {by} (finish_by)"),
            None => "no OK Result in time (finish_by)".to_owned(),
        }),
        Moment::On(On::Stale) => {
            let skipped = pair.map_or(0, |pair| pair.skipped_in_row);
            let instants = if skipped == 1 { "the last instant" } else { &format!("{skipped} instants in a row") };
            Some(format!("stale: {instants} executed nothing"))
        }
        _ => None,
    }
}

impl<'a> Payload<'a> {
    /// Gathers what a parcel holds; none where what it tells of is gone. The error says why it has to wait.
    pub(super) async fn of(
        parts: &NodeParts,
        catalog: &Catalog,
        parcel: &'a Parcel,
        contact: Option<&'a Contact>,
    ) -> Result<Option<Self>, String> {
        let now: Timestamp = parts.clock.now().into();
        let downtimes = catalog.downtimes_at(now);
        let mut items = Vec::with_capacity(parcel.tidings.len());
        let most = if parcel.on.is_some() { usize::MAX } else { MOST_OUTPUT / parcel.tidings.len().max(1) };
        let bounded = |result: RunResult| RunResult {
            stdout: result.stdout.bounded(most),
            stderr: result.stderr.bounded(most),
            ..result
        };
        for tiding in &parcel.tidings {
            // A host that is gone has nothing to tell any more.
            let Some(host) = catalog.hosts.get(&tiding.host).cloned() else { continue };
            let task = tiding.task.as_ref().and_then(|task| catalog.tasks.get(task)).cloned();
            let pair = tiding.task.as_ref().and_then(|task| {
                let row = parts.board.pair_status(&tiding.host, task, 1, now)?;
                Some(StatusRow { in_downtime: downtimes.cover(&host, task), ..row })
            });
            // That something is late comes with no Result of its own: the newest one tells how it went last.
            let newest = || pair.as_ref().and_then(|pair| pair.last.iter().next()).map(|last| last.id);
            let result = match tiding.result.or_else(newest) {
                Some(id) => parts.store.result(id).await.map_err(|error| error.to_string())?.map(bounded),
                None => None,
            };
            let moment = catalog.actions.get(&parcel.action).map(|action| &action.when.moment);
            let says = says(parts, moment, tiding, pair.as_ref());
            let record = parts.board.host(&tiding.host).unwrap_or_default();
            let host_status = HostStatus::of(&host.meta.name, record, downtimes.cover_host(&host), now);
            items.push(Item { tiding, host, host_status, task, pair, result, says });
        }
        if items.is_empty() {
            return Ok(None);
        }
        let action = catalog.actions.get(&parcel.action);
        let recipients = action.map(|action| action.contacts.clone()).unwrap_or_default();
        Ok(Some(Self { parcel, contact, recipients, items, now }))
    }

    fn occasion<'b>(&'b self, item: &'b Item<'_>) -> Occasion<'b> {
        Occasion {
            kind: item.tiding.kind,
            action: &self.parcel.action,
            state: item.tiding.state,
            host: &item.host,
            host_status: &item.host_status,
            task: item.task.as_deref(),
            pair: item.pair.as_ref(),
            result: item.result.as_ref(),
            says: item.says.as_deref(),
            contact: self.contact,
            recipients: &self.recipients,
            number: item.tiding.number,
            at: self.now,
        }
    }

    /// What a task gets: the Result, or how the host stands, on its standard input, and variables.
    pub(super) fn given(&self) -> Given {
        let mut given = Given::default();
        let Some(first) = self.items.first() else { return given };
        let document = match (&first.result, &first.pair) {
            (Some(result), _) => serde_json::to_string(&result.document(Bodies::Text)),
            (None, Some(pair)) => serde_json::to_string(pair),
            (None, None) => serde_json::to_string(&HostEvent { status: &first.host_status, task: None }),
        };
        // There is nothing in them that JSON could not hold.
        given.stdin = document.ok().map(|text| TextValue::Own(text + "\n"));
        given.own = self.occasion(first).variables();
        given
    }

    /// What templates are filled with: the first thing it tells, and all of them in `items`.
    pub(super) fn document(&self) -> Value {
        let items: Vec<Value> = self.items.iter().map(|item| self.value(item)).collect();
        let mut document = items.first().cloned().unwrap_or_default();
        document["items"] = Value::Array(items);
        document["count"] = json!(self.items.len());
        document
    }

    fn value(&self, item: &Item<'_>) -> Value {
        let occasion = self.occasion(item);
        let contact = self.contact;
        json!({
            "id": item.tiding.notification,
            "type": item.tiding.kind,
            "action": self.parcel.action,
            "at": item.tiding.at,
            "number": item.tiding.number,
            "state": item.tiding.state,
            "message": occasion.message(),
            "host": item.host.meta.name,
            "host_title": item.host.meta.title(),
            "host_address": item.host.address(),
            "host_labels": item.host.meta.labels,
            "host_status": item.host_status,
            "task": item.tiding.task,
            "task_title": item.task.as_ref().map(|task| task.meta.title().to_owned()),
            "task_labels": item.task.as_ref().map(|task| task.meta.labels.clone()),
            "status": item.pair,
            "result": item.result.as_ref().map(|result| result.document(Bodies::Text)),
            "contact": contact.map(|contact| contact.meta.name.clone()),
            "contact_title": contact.map(|contact| contact.meta.title().to_owned()),
        })
    }
}
