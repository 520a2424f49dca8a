//! `GET /events`: what happens, as Server-Sent Events: `result`, `state`, `host`, `notification`, `pause`, and `gap` where some were
//! dropped before they could be told.

use actix_web::http::Method;

use super::call::Call;
use super::live::{self, EVENT_STREAM, stream};
use super::problem::Problem;
use super::query::Reader;
use super::reply::Reply;
use crate::actors::handle::{AlfHandle, Heard, Listener};
use crate::model::{Name, Rights};

/// Which of them a client wants, and may have.
struct Wanted {
    handle: AlfHandle,
    rights: Rights,
    host: Option<Name>,
    task: Option<Name>,
}

impl Wanted {
    fn read(query: &mut Reader<'_>, handle: &AlfHandle, rights: Rights) -> Self {
        Self { handle: handle.clone(), rights, host: query.name("host"), task: query.name("task") }
    }

    /// Whether it is told: nothing of a host that is out of the key's reach.
    fn wants(&self, host: Option<&Name>, task: Option<&Name>) -> bool {
        let is = |wanted: &Option<Name>, of: Option<&Name>| wanted.is_none() || wanted.as_ref() == of;
        let covered = |host: &Name| self.handle.still_cover(&self.rights, host);
        is(&self.host, host) && is(&self.task, task) && host.is_none_or(covered)
    }
}

/// `GET /events`.
pub async fn events(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, call.handle(), rights);
    query.done()?;
    if let Some(host) = wanted.host.as_ref().filter(|host| call.handle().catalog().hosts.contains_key(*host)) {
        wanted.rights.check(host, &call.handle().catalog())?;
    }
    if *call.method() == Method::HEAD {
        return Ok(Reply::pieces(EVENT_STREAM, futures_util::stream::empty()));
    }
    // Numbers begin anew with each life of Alf: an id names the life, too.
    let life = call.handle().started_at().millis();
    let (listener, begin) = match call.header("last-event-id") {
        None => (call.handle().listen(None), String::new()),
        Some(id) => match number(id, life).filter(|number| *number <= call.handle().newest_news()) {
            Some(number) => (call.handle().listen(Some(number)), String::new()),
            // Of a life before this one: nobody knows how many were missed.
            None => (call.handle().listen(Some(0)), format!("event: gap\nid: {life}.0\ndata: {{\"missed\":null}}\n\n")),
        },
    };
    let teller = Teller { listener, wanted, life, begin: Some(begin).filter(|begin| !begin.is_empty()) };
    Ok(stream(teller))
}

/// The number in an id of this life.
fn number(id: &str, life: i64) -> Option<u64> {
    let (of, number) = id.trim().split_once('.')?;
    (of.parse() == Ok(life)).then(|| number.parse().ok()).flatten()
}

struct Teller {
    listener: Listener,
    wanted: Wanted,
    life: i64,
    begin: Option<String>,
}

impl live::Teller for Teller {
    fn may_go_on(&self) -> bool {
        self.wanted.handle.still_hold(&self.wanted.rights)
    }

    async fn next(&mut self) -> Option<String> {
        if let Some(begin) = self.begin.take() {
            return Some(begin);
        }
        let life = self.life;
        loop {
            match self.listener.next().await? {
                Heard::News(news) if !self.wanted.wants(news.host.as_ref(), news.task.as_ref()) => {}
                Heard::News(news) => {
                    return Some(format!("event: {}\nid: {life}.{}\ndata: {}\n\n", news.kind, news.number, news.data));
                }
                Heard::Gap { missed, next } => {
                    return Some(format!("event: gap\nid: {life}.{}\ndata: {{\"missed\":{missed}}}\n\n", next - 1));
                }
            }
        }
    }
}
