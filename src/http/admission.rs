//! How many connections there may be: in all, and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bad_keys::network;
use super::limits::Limits;

/// How often the log is told that connections are refused.
const TELL: Duration = Duration::from_secs(60);

/// Counts connections.
#[derive(Debug)]
pub struct Admission {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<IpAddr, usize>,
    told: Option<Instant>,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub struct Admitted {
    admission: Arc<Admission>,
    from: IpAddr,
}

impl Admission {
    /// As many as these limits allow.
    pub fn new(limits: &Limits) -> Self {
        Self { all: limits.connections, each: limits.connections_per_address, taken: Mutex::default() }
    }

    /// Counts one more, unless there are too many.
    pub fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Admitted> {
        let from = network(from);
        let mut taken = self.taken();
        let of_address = taken.by.get(&from).copied().unwrap_or(0);
        let key = if taken.all >= self.all {
            "http.connections"
        } else if of_address >= self.each {
            "http.connections_per_address"
        } else {
            taken.all += 1;
            *taken.by.entry(from).or_insert(0) += 1;
            drop(taken);
            return Some(Admitted { admission: Arc::clone(self), from });
        };
        let now = Instant::now();
        let silent = taken.told.is_some_and(|told| now.duration_since(told) < TELL);
        if !silent {
            taken.told = Some(now);
        }
        let connections = taken.all;
        drop(taken);
        if !silent {
            log::warn!(peer:% = from, connections, of_address; "connections are refused: {key} allows no more");
        }
        None
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(count) = taken.by.get_mut(&self.from) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_counted_in_all_and_by_address_until_they_end() {
        let admission = Arc::new(Admission { all: 3, each: 2, taken: Mutex::default() });
        let from = |text: &str| admission.enter(text.parse().unwrap());
        let first = from("192.0.2.1").unwrap();
        // The same machine, as a socket for both families shows it.
        let _second = from("::ffff:192.0.2.1").unwrap();
        assert!(from("192.0.2.1").is_none(), "one address has its share");
        let _other = from("192.0.2.2").unwrap();
        assert!(from("192.0.2.3").is_none(), "there are as many as there may be");
        drop(first);
        assert!(from("192.0.2.1").is_some());
        assert_eq!(admission.open(), 2);
        assert_eq!(admission.taken().by.len(), 2);
    }
}
