//! A store that was restored from a backup: what was going on when the backup was taken is over, and what was due since
//! may have been run by whoever had the store then.

use super::{Store, StoreError, Write};
use crate::model::{Evaluated, PairStatus, Timestamp};

/// So many writes go into one commit.
const BATCH: usize = 500;

/// Sees to it that nothing is run or sent for what was before this instant: instants that were not dealt with count as
/// missed, other attempts are not made, what Actions were about to do is not done.
pub async fn over_until(store: &dyn Store, until: Timestamp) -> Result<(), StoreError> {
    let loaded = store.load().await?;
    let mut writes = vec![Write::MissUntil(until)];
    let parcels = loaded.parcels.iter().map(|parcel| parcel.id).collect::<Vec<_>>();
    if !parcels.is_empty() {
        writes.push(Write::Evaluated(Box::new(Evaluated { delivered: parcels, ..Evaluated::default() })));
    }
    for pair in loaded.pairs.into_iter().filter(|pair| pair.status.retry.is_some()) {
        if let Some(task) = pair.task {
            let status = PairStatus { retry: None, ..pair.status };
            writes.push(Write::SetStatus { host: pair.host, task, status: status.into() });
        }
    }
    for batch in writes.chunks(BATCH) {
        store.commit(batch.to_vec()).await?;
    }
    loop {
        let events = store.events_due(BATCH).await?;
        if events.is_empty() {
            return Ok(());
        }
        let over = |event| Write::Evaluated(Box::new(Evaluated { event: Some(event), ..Evaluated::default() }));
        store.commit(events.iter().map(|event| over(event.id)).collect()).await?;
    }
}
