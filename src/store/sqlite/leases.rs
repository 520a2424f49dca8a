//! Who has a bucket of hosts, by the clock that SQLite reads: that of this machine, as whoever writes to this file is on
//! it. One Alf alone holds the data directory, so nobody contends; the rules are those of a shared store.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _};

use super::fault::Fault;
use super::read;
use crate::store::Lease;

/// Milliseconds since the Unix epoch.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// A released one has no holder.
pub(super) const SCHEMA: &str =
    "CREATE TABLE leases (bucket INTEGER PRIMARY KEY, holder TEXT, fence INTEGER NOT NULL, until INTEGER NOT NULL);";

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Takes a bucket, if nobody has it or this holder has. Must run within a transaction.
pub(super) fn take(connection: &Connection, bucket: u32, holder: &str, time: Duration) -> Result<Option<Lease>, Fault> {
    let mut take = connection.prepare_cached(&format!(
        "INSERT INTO leases (bucket, holder, fence, until) VALUES (?1, ?2, 1, {NOW} + ?3)
         ON CONFLICT (bucket) DO UPDATE SET holder = excluded.holder, fence = fence + 1, until = excluded.until
         WHERE leases.until <= {NOW} OR holder IS NULL OR holder = excluded.holder
         RETURNING fence"
    ))?;
    let fence: Option<i64> = take.query_row((bucket, holder, millis(time)), |row| row.get(0)).optional()?;
    fence.map(|fence| Ok(Lease { bucket, fence: read::count(fence)? })).transpose()
}

/// Has it for a time from now on; false if it is over. Must run within a transaction.
pub(super) fn renew(connection: &Connection, lease: Lease, time: Duration) -> Result<bool, Fault> {
    let mut renew = connection.prepare_cached(&format!(
        "UPDATE leases SET until = {NOW} + ?3 WHERE bucket = ?1 AND fence = ?2 AND holder IS NOT NULL AND until > {NOW}"
    ))?;
    Ok(renew.execute((lease.bucket, read::to_count(lease.fence), millis(time)))? == 1)
}

/// Nobody has it any more, and what was written under it is not to be written either. Must run within a transaction.
pub(super) fn release(connection: &Connection, lease: Lease) -> Result<(), Fault> {
    connection
        .prepare_cached("UPDATE leases SET holder = NULL, fence = fence + 1 WHERE bucket = ?1 AND fence = ?2")?
        .execute((lease.bucket, read::to_count(lease.fence)))?;
    Ok(())
}

/// Sees that nobody else has taken it. Must run within a transaction.
pub(super) fn check(connection: &Connection, lease: Lease) -> Result<(), Fault> {
    let is_held = connection
        .prepare_cached("SELECT 1 FROM leases WHERE bucket = ?1 AND fence = ?2 AND holder IS NOT NULL")?
        .exists((lease.bucket, read::to_count(lease.fence)))?;
    if is_held { Ok(()) } else { Err(Fault::Fenced(lease.bucket)) }
}
