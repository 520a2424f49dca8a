//! Notifications by all that may be asked for.

use super::samples::{at, id, name};
use super::{commit_one, must};
use crate::model::{
    AnyState, Evaluated, HostState, NoticeKind, Notification, NotificationOutcome, NotificationQuery, State,
};
use crate::store::{Store, Write};

/// After all other notifications of the suite.
const FIRST: i64 = 900_000;

fn notification(n: i64) -> Notification {
    let of_host = n % 3 == 0;
    Notification {
        id: id(FIRST + n),
        at: at(FIRST + n),
        action: name(if n < 3 { "tell" } else { "tell-too" }),
        contact: (n % 2 == 0).then(|| name("anna")),
        host: name(if n < 2 { "told1" } else { "told2" }),
        task: (!of_host).then(|| name(if n == 1 { "one" } else { "two" })),
        result: None,
        kind: if of_host { NoticeKind::FlappingStart } else { NoticeKind::Problem },
        state: if of_host {
            Some(AnyState::Host(HostState::Down))
        } else {
            (n > 1).then_some(AnyState::Task(State::Unknown))
        },
        outcome: if n < 4 { NotificationOutcome::Sent } else { NotificationOutcome::Throttled },
        reason: None,
        detail: "told".to_owned(),
        run: None,
    }
}

/// Every filter, alone and together.
pub(super) async fn filters(store: &dyn Store) {
    let notifications: Vec<Notification> = (0..6).map(notification).collect();
    let all = Evaluated { notifications: notifications.clone(), ..Evaluated::default() };
    commit_one(store, Write::Evaluated(Box::new(all))).await;
    let among = Some(vec![name("told1"), name("told2")]);
    let any = || NotificationQuery { among: among.clone(), limit: 100, ..NotificationQuery::default() };
    let queries = [
        any(),
        NotificationQuery { task: Some(name("two")), ..any() },
        NotificationQuery { task: Some(name("none")), ..any() },
        NotificationQuery { outcome: Some(NotificationOutcome::Throttled), ..any() },
        NotificationQuery { outcome: Some(NotificationOutcome::Dropped), ..any() },
        NotificationQuery { kind: Some(NoticeKind::FlappingStart), ..any() },
        NotificationQuery { state: Some(AnyState::Host(HostState::Down)), ..any() },
        NotificationQuery { state: Some(AnyState::Task(State::Unknown)), ..any() },
        NotificationQuery { contact: Some(name("anna")), action: Some(name("tell-too")), ..any() },
        NotificationQuery { since: Some(at(FIRST + 1)), until: Some(at(FIRST + 4)), ..any() },
        NotificationQuery { until: Some(at(FIRST)), ..any() },
        NotificationQuery { host: Some(name("told2")), kind: Some(NoticeKind::Problem), ..any() },
    ];
    for query in queries {
        let expected: Vec<Notification> =
            notifications.iter().rev().filter(|one| query.matches(one)).cloned().collect();
        let page = must("notifications", store.notifications(query.clone()).await);
        assert_eq!((page.total, page.items), (expected.len() as u64, expected), "{query:?}");
    }
}
