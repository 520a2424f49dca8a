//! What Actions need kept: events until they are evaluated, notices, notifications, parcels, traces.

use super::samples::{at, id, name, result, save};
use super::{commit, commit_one, load, must};
use crate::model::{
    AnyState, Change, Evaluated, Event, Hold, Notice, NoticeKey, NoticeKind, Notification, NotificationOutcome,
    NotificationPage, NotificationQuery, Parcel, Recipient, RunId, State, Tiding, Trace, TraceItem,
};
use crate::store::{Store, Write, Written};

fn event(id: RunId) -> Event {
    Event { id, at: at(1), host: name("acts"), has_result: true, change: Change::Unlinked { task: name("t") } }
}

fn notification(n: i64, host: &str, contact: Option<&str>) -> Notification {
    Notification {
        id: id(n),
        at: at(n),
        action: name("page"),
        contact: contact.map(name),
        host: name(host),
        task: Some(name("t")),
        result: Some(id(0)),
        kind: NoticeKind::Problem,
        state: Some(AnyState::Task(State::Critical)),
        outcome: NotificationOutcome::Held,
        reason: Some(Hold::Throttle),
        detail: "\"told\" 🦀\n".to_owned(),
        run: None,
    }
}

fn parcel(n: i64, of: &Notification) -> Parcel {
    let tiding = Tiding {
        notification: of.id,
        kind: of.kind,
        state: of.state,
        host: of.host.clone(),
        task: of.task.clone(),
        result: of.result,
        at: of.at,
        number: 2,
        thread: Some(id(4)),
    };
    Parcel {
        id: id(n),
        action: of.action.clone(),
        contact: of.contact.clone(),
        on: None,
        due_at: at(9),
        attempts: 3,
        tidings: vec![tiding],
    }
}

fn evaluated(evaluated: Evaluated) -> Write {
    Write::Evaluated(Box::new(evaluated))
}

/// An event is there until it is evaluated; the oldest comes first.
pub(super) async fn events(store: &dyn Store) {
    let due = async |limit| must("events_due", store.events_due(limit).await);
    assert_eq!(due(10).await, [], "nothing is due that nobody wrote");
    let [first, second, third] = [1, 2, 3].map(|n| event(id(n)));
    let saved = result(&name("acts"), &name("t"), second.id);
    let writes = [&third, &first].map(|event| Write::Due(Box::new(event.clone())));
    commit(store, writes.to_vec()).await;
    commit(store, vec![save(saved), Write::Due(Box::new(second.clone()))]).await;
    commit_one(store, Write::Due(Box::new(first.clone()))).await;
    assert_eq!(due(10).await, [first.clone(), second.clone(), third.clone()], "each is due once, the oldest first");
    assert_eq!(due(2).await, [first.clone(), second.clone()]);
    assert_eq!(due(0).await, []);
    let done = |event: &Event| evaluated(Evaluated { event: Some(event.id), ..Evaluated::default() });
    assert_eq!(commit(store, vec![done(&first), done(&third), done(&third)]).await, [Written::Done; 3]);
    assert_eq!(due(10).await, vec![second.clone()]);
    commit_one(store, done(&second)).await;
}

/// What evaluating came to is kept: notices are replaced and forgotten, parcels wait until they are delivered.
pub(super) async fn outcomes(store: &dyn Store) {
    let key = |task: Option<&str>, contact: Option<&str>| NoticeKey {
        action: name("page"),
        host: name("acts"),
        task: task.map(name),
        contact: contact.map(name),
    };
    let (of_host, of_task, nobody) =
        (key(None, Some("anna")), key(Some("anna"), None), key(Some("t"), Some("task@host")));
    let notice = Notice { in_row: 7, lasting_since: Some(at(3)), lasting_result: Some(id(3)), ..Notice::default() };
    let told = notification(5, "acts", Some("anna"));
    let (early, late) = (parcel(6, &told), parcel(7, &told));
    let first = Evaluated {
        notices: vec![
            (of_host.clone(), Some(notice)),
            (of_task.clone(), Some(Notice::default())),
            (nobody.clone(), Some(notice)),
        ],
        parcels: vec![late.clone(), early.clone()],
        ..Evaluated::default()
    };
    commit_one(store, evaluated(first)).await;
    let loaded = load(store).await;
    let expected = [(of_host.clone(), notice), (of_task.clone(), Notice::default()), (nobody.clone(), notice)];
    assert_eq!(loaded.notices.len(), 3);
    assert!(expected.iter().all(|one| loaded.notices.contains(one)), "notices must come back: {:?}", loaded.notices);
    assert_eq!(loaded.parcels, [early.clone(), late.clone()], "the oldest parcel must come first");

    let waits = Parcel { attempts: 4, ..early.clone() };
    let second = Evaluated {
        notices: vec![(of_host.clone(), None), (of_task, None), (nobody.clone(), Some(Notice::default()))],
        parcels: vec![waits.clone()],
        delivered: vec![late.id, id(8)],
        ..Evaluated::default()
    };
    commit_one(store, evaluated(second)).await;
    let loaded = load(store).await;
    assert_eq!(loaded.notices, [(nobody, Notice::default())]);
    assert_eq!(loaded.parcels, [waits], "a parcel that was delivered must be gone, one that waits must stay");
    assert_eq!(commit(store, vec![Write::Delivered(early.id), Write::Delivered(id(8))]).await, [Written::Done; 2]);
    assert_eq!(load(store).await.parcels, []);
}

/// Notifications come back newest first, by what they are about, and with the Result that they tell of.
pub(super) async fn notifications(store: &dyn Store) {
    let page = async |query: NotificationQuery| must("notifications", store.notifications(query).await);
    let all = || NotificationQuery { limit: 100, ..NotificationQuery::default() };
    assert_eq!(page(all()).await, NotificationPage::default(), "nobody was told anything yet");
    let told = [("one", Some("anna")), ("two", Some("anna")), ("one", None), ("two", Some("bert"))];
    let mut written: Vec<_> = (10..).zip(told).map(|(n, (host, contact))| notification(n, host, contact)).collect();
    let of_result = id(20);
    let recipient = |notification| Recipient {
        contact: None,
        kind: Some(NoticeKind::Custom),
        outcome: Some(NotificationOutcome::Sent),
        detail: String::new(),
        notification,
        run: Some(id(21)),
    };
    let item = TraceItem {
        action: name("page"),
        version: 3,
        matched: true,
        why: Some("it is so".to_owned()),
        told: vec![recipient(Some(written[1].id)), recipient(None), recipient(Some(id(22)))],
    };
    let trace = Trace { result: of_result, at: Some(at(4)), why: None, items: vec![item] };
    assert_eq!(must("trace", store.trace(of_result).await), None);
    let first = Evaluated { trace: Some(trace.clone()), notifications: written.clone(), ..Evaluated::default() };
    commit_one(store, evaluated(first)).await;
    assert_eq!(must("trace", store.trace(of_result).await), Some((trace.clone(), vec![written[1].clone()])));
    written[1].outcome = NotificationOutcome::Sent;
    let second = Evaluated { notifications: vec![written[1].clone()], ..Evaluated::default() };
    commit_one(store, evaluated(second)).await;
    let found = must("trace", store.trace(of_result).await);
    assert_eq!(found, Some((trace, vec![written[1].clone()])), "a trace must show notifications as they are now");

    written.reverse();
    assert_eq!(page(all()).await, NotificationPage { items: written.clone(), next: None, total: 4 });
    let total = async |query: NotificationQuery| page(query).await.total;
    assert_eq!(total(NotificationQuery { contact: Some(name("anna")), ..all() }).await, 2);
    assert_eq!(total(NotificationQuery { action: Some(name("other")), ..all() }).await, 0);
    assert_eq!(total(NotificationQuery { action: Some(name("page")), since: Some(at(12)), ..all() }).await, 2);
    assert_eq!(total(NotificationQuery { host: Some(name("one")), ..all() }).await, 2);
    assert_eq!(total(NotificationQuery { among: Some(vec![name("one")]), ..all() }).await, 2);
    assert_eq!(total(NotificationQuery { among: Some(Vec::new()), ..all() }).await, 0);
    let both = NotificationQuery { host: Some(name("one")), among: Some(vec![name("two")]), ..all() };
    assert_eq!(total(both).await, 0);
    let first = page(NotificationQuery { limit: 3, ..all() }).await;
    assert_eq!((first.items.as_slice(), first.next, first.total), (&written[..3], Some(written[2].id), 4));
    let rest = page(NotificationQuery { before: first.next, limit: 3, ..all() }).await;
    assert_eq!((rest.items.as_slice(), rest.next, rest.total), (&written[3..], None, 4));
}
