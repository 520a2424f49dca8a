//! Status: how each pair and each host stands now.

use super::call::Call;
use super::page::Wanted;
use super::problem::Problem;
use super::query::Reader;
use super::reply::Reply;
use crate::actors::handle::Standing;
use crate::model::{LAST_KEPT, Noun, Outcome, Rights, Selector, State};

/// How many of its last Results a pair shows unless told otherwise.
const LAST_SHOWN: usize = 20;

/// The state that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Any,
    Pending,
    Is(State),
}

/// `GET /status`.
pub async fn list(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "statuses");
    let (host, task) = (query.name("host"), query.name("task"));
    let outcome: Option<Outcome> = query.word("outcome");
    let state = asked(&mut query);
    let selector: Option<Selector> = query.take("selector");
    let unhandled = query.text("unhandled").map(|_| query.flag("unhandled"));
    let last = last(&mut query);
    query.done()?;
    let catalog = call.handle().catalog();
    if let Some(host) = host.as_ref().filter(|host| catalog.hosts.contains_key(*host)) {
        rights.check(host, &catalog)?;
    }
    let chosen = |one: &Standing<'_>| {
        rights.cover_name(one.host, &catalog)
            && host.as_ref().is_none_or(|host| host == one.host)
            && task.as_ref().is_none_or(|task| task == one.task)
            && outcome.is_none_or(|outcome| one.outcome() == Some(outcome))
            && match state {
                Asked::Any => true,
                Asked::Pending => one.state().is_none(),
                Asked::Is(state) => one.state() == Some(state),
            }
            && selector.as_ref().is_none_or(|selector| {
                let host = catalog.hosts.get(one.host);
                host.is_some_and(|host| selector.matches(one.host.as_str(), &host.meta.labels))
            })
    };
    let page = call.handle().with_status(|all, row| {
        let chosen = all.filter(chosen).filter(|one| unhandled.is_none_or(|it| row(one, 0).is_unhandled() == it));
        // No name holds NUL, so the keys sort as the pairs do.
        wanted.cut(chosen, |one| format!("{}\0{}", one.host, one.task)).map(|one| row(&one, last))
    });
    call.page(("statuses", "status"), &page)
}

/// `GET /status/summary`.
pub async fn summary(call: Call, rights: Rights) -> Result<Reply, Problem> {
    call.document("status", &call.handle().summary(&rights))
}

/// `GET /status/HOST`.
pub async fn host(call: Call) -> Result<Reply, Problem> {
    let name = call.name("host", Noun::Host)?;
    let status = call.handle().host_status(&name);
    let status = status.ok_or_else(|| Problem::not_found(format!("there is no host \"{name}\"")))?;
    call.document("status", &status)
}

/// `GET /status/HOST/TASK`.
pub async fn pair(call: Call) -> Result<Reply, Problem> {
    let host = call.name("host", Noun::Host)?;
    let task = call.name("task", Noun::Task)?;
    let mut query = call.query.reader();
    let last = last(&mut query);
    query.done()?;
    let row = call.handle().pair_status(&host, &task, last);
    let row = row.ok_or_else(|| {
        Problem::not_found(format!("task \"{task}\" is not linked to host \"{host}\", or one of them is not there"))
    })?;
    call.document("status", &row)
}

fn last(query: &mut Reader<'_>) -> usize {
    query.number("n", 0..=LAST_KEPT, LAST_SHOWN)
}

fn asked(query: &mut Reader<'_>) -> Asked {
    match query.text("state") {
        None => Asked::Any,
        Some("PENDING") => Asked::Pending,
        Some(_) => query.word("state").map_or(Asked::Any, Asked::Is),
    }
}
