//! The audit: what is added comes back newest first, is added once, and goes with the change it tells of.

use super::must;
use super::samples::{at, name};
use crate::model::{AuditEntry, AuditOutcome, AuditPage, AuditQuery, Noun, RunId, Verb};
use crate::store::{DefinitionChange, Store, StoreError, Write, Written};

/// The first of the instants that these entries are at: after all others of the suite.
const FIRST: i64 = 1000;

/// The same every time, unlike those of the other samples.
fn id(n: i64) -> RunId {
    let mut bytes = [0x70; 16];
    bytes[..6].copy_from_slice(&at(FIRST + n).millis().to_be_bytes()[2..]);
    RunId::from_bytes(bytes)
}

fn entry(n: i64) -> AuditEntry {
    AuditEntry {
        id: id(n),
        at: at(FIRST + n),
        by: (n % 2 == 0).then(|| name("anna")),
        verb: if n % 3 == 0 { Verb::Create } else { Verb::RotateKey },
        noun: (n % 3 == 0).then_some(Noun::HostTask),
        name: (n % 3 == 0).then(|| name("tick@web1")).or_else(|| Some(name("web1"))),
        call: (n % 2 == 1).then(|| "PUT /api/v1/hosts/{name}".to_owned()),
        fields: vec!["env".to_owned(), "ünï".to_owned()],
        host: Some(name("web1")),
        run: Some(id(n)),
        address: "2001:db8::1".parse().ok(),
        request: Some("abc".to_owned()),
        outcome: AuditOutcome::Refused,
        count: u64::from(u32::MAX) + 1,
    }
}

async fn page(store: &dyn Store, query: AuditQuery) -> AuditPage {
    must("audit", store.audit(query).await)
}

fn all() -> AuditQuery {
    AuditQuery { limit: 1000, ..AuditQuery::default() }
}

/// Entries come back as they were added, by what they are about, page after page.
pub(super) async fn entries(store: &dyn Store) {
    assert_eq!(page(store, all()).await, AuditPage::default(), "a new store must have no audit");
    let written = must("add", store.commit((0..6).map(|n| Write::Audit(Box::new(entry(n)))).collect()).await);
    assert_eq!(written, vec![Written::Done; 6]);
    must("repeat", store.commit(vec![Write::Audit(Box::new(entry(5)))]).await);
    let newest: Vec<AuditEntry> = (0..6).rev().map(entry).collect();
    assert_eq!(page(store, all()).await, AuditPage { items: newest.clone(), next: None, total: 6 });

    let count = async |query: AuditQuery| page(store, query).await.total;
    assert_eq!(count(AuditQuery { by: Some(name("anna")), ..all() }).await, 3);
    assert_eq!(count(AuditQuery { by: Some(name("nobody")), ..all() }).await, 0);
    assert_eq!(count(AuditQuery { noun: Some(Noun::HostTask), ..all() }).await, 2);
    assert_eq!(count(AuditQuery { name: Some(name("web1")), ..all() }).await, 4);
    assert_eq!(count(AuditQuery { verb: Some(Verb::Create), by: Some(name("anna")), ..all() }).await, 1);
    let (since, until) = (Some(at(FIRST + 1)), Some(at(FIRST + 4)));
    assert_eq!(count(AuditQuery { since, until, ..all() }).await, 3, "since is included, until is not");

    let mut seen: Vec<RunId> = Vec::new();
    let mut before = None;
    loop {
        let found = page(store, AuditQuery { before, limit: 4, ..all() }).await;
        assert_eq!(found.total, 6, "a page must tell how many there are in all");
        seen.extend(found.items.iter().map(|entry| entry.id));
        before = found.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest.iter().map(|entry| entry.id).collect::<Vec<_>>());
}

/// An entry of a change of definitions is there if the change is.
pub(super) async fn goes_with_the_change(store: &dyn Store) {
    let revision = super::load(store).await.revision;
    let before = page(store, all()).await.total;
    let told = |n: i64| vec![DefinitionChange::Audit(Box::new(entry(n)))];
    let stale = store.change_definitions(revision + 1, told(10)).await;
    assert_eq!(stale, Err(StoreError::Conflict { current: revision }));
    assert_eq!(page(store, all()).await.total, before, "of what was not done nothing is told");
    must("change", store.change_definitions(revision, told(11)).await);
    assert_eq!(page(store, all()).await.items.first(), Some(&entry(11)));
}
