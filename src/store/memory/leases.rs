//! Who has a bucket of hosts, by tokio's clock, which tests may pause.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Lease, StoreError};

#[derive(Default)]
pub(super) struct Leases(BTreeMap<u32, Bucket>);

struct Bucket {
    /// Who has it, and until when; none once it is released.
    held: Option<(String, Instant)>,
    fence: u64,
}

impl Leases {
    pub(super) fn take(&mut self, bucket: u32, holder: &str, time: Duration) -> Option<Lease> {
        let now = Instant::now();
        let there = self.0.entry(bucket).or_insert(Bucket { held: None, fence: 0 });
        let is_free = there.held.as_ref().is_none_or(|(other, until)| *until <= now || other == holder);
        is_free.then(|| {
            *there = Bucket { held: Some((holder.to_owned(), now + time)), fence: there.fence + 1 };
            Lease { bucket, fence: there.fence }
        })
    }

    pub(super) fn renew(&mut self, lease: Lease, time: Duration) -> bool {
        let now = Instant::now();
        match self.of(lease).and_then(|there| there.held.as_mut()) {
            Some((_, until)) if *until > now => {
                *until = now + time;
                true
            }
            _ => false,
        }
    }

    pub(super) fn release(&mut self, lease: Lease) {
        if let Some(there) = self.of(lease) {
            *there = Bucket { held: None, fence: there.fence + 1 };
        }
    }

    pub(super) fn check(&mut self, lease: Lease) -> Result<(), StoreError> {
        let is_held = self.of(lease).is_some_and(|there| there.held.is_some());
        if is_held { Ok(()) } else { Err(StoreError::Fenced { bucket: lease.bucket }) }
    }

    fn of(&mut self, lease: Lease) -> Option<&mut Bucket> {
        self.0.get_mut(&lease.bucket).filter(|there| there.fence == lease.fence)
    }
}
