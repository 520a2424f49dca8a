//! Status: how each pair and each host stands now.

use serde::Deserialize;

use super::call::Call;
use super::page::Wanted;
use super::problem::Problem;
use super::query::Reader;
use super::reply::Reply;
use crate::actors::handle::Standing;
use crate::model::{Host, HostState, LAST_KEPT, Name, Noun, Outcome, Rights, Selector, State};

/// How many of its last Results a pair shows unless told otherwise.
const LAST_SHOWN: usize = 20;

/// The state of a pair that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum PairState {
    Ok,
    Warning,
    Critical,
    Unknown,
    Pending,
}

impl PairState {
    fn get(self) -> Option<State> {
        match self {
            Self::Ok => Some(State::Ok),
            Self::Warning => Some(State::Warning),
            Self::Critical => Some(State::Critical),
            Self::Unknown => Some(State::Unknown),
            Self::Pending => None,
        }
    }
}

/// The state of a host that is asked for.
#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum StateOfHost {
    Up,
    Down,
    Unreachable,
    Pending,
}

impl StateOfHost {
    fn get(self) -> Option<HostState> {
        match self {
            Self::Up => Some(HostState::Up),
            Self::Down => Some(HostState::Down),
            Self::Unreachable => Some(HostState::Unreachable),
            Self::Pending => None,
        }
    }
}

/// `GET /status`.
pub async fn list(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "statuses");
    let (host, task) = (query.name("host"), query.name("task"));
    let outcome: Option<Outcome> = query.word("outcome");
    let state = query.word("state").map(PairState::get);
    let selector: Option<Selector> = query.take("selector");
    let unhandled = query.text("unhandled").map(|_| query.flag("unhandled"));
    let last = last(&mut query);
    query.done()?;
    let catalog = call.handle().catalog();
    if let Some(host) = host.as_ref().filter(|host| catalog.hosts.contains_key(*host)) {
        rights.check(host, &catalog)?;
    }
    let all_hosts = rights.limit().is_none() && host.is_none() && selector.is_none();
    let of_host = |name: &Name| {
        rights.cover_name(name, &catalog)
            && host.as_ref().is_none_or(|host| host == name)
            && selector.as_ref().is_none_or(|selector| {
                let host = catalog.hosts.get(name);
                host.is_some_and(|host| selector.matches(name.as_str(), &host.meta.labels))
            })
    };
    let all_pairs = task.is_none() && outcome.is_none() && state.is_none() && unhandled.is_none();
    let chosen = |one: &Standing<'_>| {
        task.as_ref().is_none_or(|task| task == one.task)
            && outcome.is_none_or(|outcome| one.outcome() == Some(outcome))
            && state.is_none_or(|state| one.state() == state)
    };
    // No name holds NUL, so the keys sort as the pairs do.
    let key = |one: &Standing<'_>| format!("{}\0{}", one.host, one.task);
    let page = call.handle().with_status(|all, row| {
        let page = if all_hosts && all_pairs {
            let after = wanted.after.as_deref().unwrap_or_default();
            let (host, task) = after.split_once('\0').unwrap_or((after, ""));
            wanted.take(all.count(), all.behind(host, task), key)
        } else {
            let is_unhandled =
                |one: &Standing<'_>| one.outcome() == Some(Outcome::Problem) && row(one, 0).is_unhandled();
            let chosen = all.of(of_host).filter(chosen);
            wanted.cut(chosen.filter(|one| unhandled.is_none_or(|it| is_unhandled(one) == it)), key)
        };
        page.map(|one| row(&one, last))
    });
    call.page(("statuses", "status"), &page)
}

/// `GET /status/summary`.
pub async fn summary(call: Call, rights: Rights) -> Result<Reply, Problem> {
    call.document("status", &call.handle().summary(&rights))
}

/// `GET /host-statuses`: the hosts themselves, by name.
pub async fn hosts(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, "host_statuses");
    let host = query.name("host");
    let outcome: Option<Outcome> = query.word("outcome");
    let state = query.word("state").map(StateOfHost::get);
    let selector: Option<Selector> = query.take("selector");
    let unhandled = query.text("unhandled").map(|_| query.flag("unhandled"));
    query.done()?;
    let catalog = call.handle().catalog();
    if let Some(host) = host.as_ref().filter(|host| catalog.hosts.contains_key(*host)) {
        rights.check(host, &catalog)?;
    }
    let chosen = catalog.hosts.values().map(AsRef::as_ref).filter(|one: &&Host| {
        let (name, labels) = (&one.meta.name, &one.meta.labels);
        rights.cover(one)
            && host.as_ref().is_none_or(|host| host == name)
            && selector.as_ref().is_none_or(|selector| selector.matches(name.as_str(), labels))
    });
    let all = call.handle().host_statuses(chosen, &catalog).into_iter().filter(|one| {
        outcome.is_none_or(|outcome| one.outcome() == Some(outcome))
            && state.is_none_or(|state| one.state == state)
            && unhandled.is_none_or(|it| one.is_unhandled() == it)
    });
    call.page(("statuses", "status"), &wanted.cut(all, |one| one.host.to_string()))
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
