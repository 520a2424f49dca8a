//! Several nodes on one store share the hosts: in buckets, each of which one node has for a while.

/// A bucket of hosts that somebody has for a while, by the store's clock. Who takes it gets another `fence`, one that is
/// higher than all before: what a holder writes that was too slow to notice is refused by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Which.
    pub bucket: u32,
    /// How often it has changed hands.
    pub fence: u64,
}
