//! How many bad keys each address has shown lately, so that nobody can try them by the thousand.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::handle::Counter;

/// How many are answered 401 in one window.
const ALLOWED: u32 = 20;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are remembered; the oldest is forgotten for the next.
const ADDRESSES: usize = 4096;

/// Counts bad keys by address.
#[derive(Debug, Default)]
pub struct BadKeys {
    seen: Mutex<HashMap<IpAddr, Seen>>,
    /// All of them.
    pub total: Counter,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Instant,
    count: u32,
}

impl BadKeys {
    /// Notes a bad key; answers how long to stay away if there were too many.
    pub fn note(&self, from: Option<IpAddr>) -> Option<Duration> {
        self.total.add(1);
        let from = network(from.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= ADDRESSES && !seen.contains_key(&from) {
            seen.retain(|_, entry| now.duration_since(entry.since) < WINDOW);
            let oldest = seen.iter().min_by_key(|(_, entry)| entry.since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| seen.len() >= ADDRESSES) {
                seen.remove(&oldest);
            }
        }
        let entry = seen.entry(from).or_insert(Seen { since: now, count: 0 });
        if now.duration_since(entry.since) >= WINDOW {
            *entry = Seen { since: now, count: 0 };
        }
        entry.count = entry.count.saturating_add(1);
        (entry.count > ALLOWED).then(|| WINDOW.saturating_sub(now.duration_since(entry.since)))
    }
}

/// Whoever has one IPv6 address has the other 2^64 of its network as well.
pub fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_twenty_first_bad_key_of_a_minute_has_to_wait() {
        let bad = BadKeys::default();
        let here = Some("192.0.2.1".parse().unwrap());
        for _ in 0..20 {
            assert_eq!(bad.note(here), None);
        }
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(bad.note(here), Some(Duration::from_secs(50)));
        assert_eq!(bad.note(Some("192.0.2.2".parse().unwrap())), None);
        tokio::time::advance(Duration::from_secs(50)).await;
        assert_eq!(bad.note(here), None);
        assert_eq!(bad.total.get(), 23);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_counts_as_one_and_the_table_is_bounded() {
        let bad = BadKeys::default();
        for host in 1..=20u16 {
            assert_eq!(bad.note(Some(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host)))), None);
        }
        assert!(bad.note(Some("2001:db8:0:1::ffff".parse().unwrap())).is_some());
        for address in 0..10_000u32 {
            bad.note(Some(IpAddr::V4(address.into())));
        }
        assert!(bad.seen.lock().unwrap().len() <= ADDRESSES);
    }
}
