//! Who has a bucket of hosts, by the server's clock, which is one for all nodes. It is only asked within what is written,
//! so that looking and taking are one.

use std::time::Duration;

use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;

use super::changes::{Change, Changes};
use super::connect::Link;
use super::fault::Fault;
use super::schema::LEASES;
use super::{read, writer};
use crate::store::Lease;

fn id(bucket: u32) -> String {
    format!("{bucket:05}")
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// So long from now, by the server's clock.
fn after(time: Duration) -> Document {
    doc! { "$dateAdd": { "startDate": "$$NOW", "unit": "millisecond", "amount": millis(time) } }
}

/// Takes a bucket, if nobody has it or this holder has.
pub(super) async fn take(link: &Link, bucket: u32, holder: &str, time: Duration) -> Result<Option<Lease>, Fault> {
    let is_free = doc! { "$or": [
        { "$lte": [{ "$ifNull": ["$until", "$$NOW"] }, "$$NOW"] },
        { "$eq": ["$holder", { "$literal": holder }] },
    ] };
    let if_free = |then: Document, otherwise: &str| doc! { "$cond": [is_free.clone(), then, otherwise] };
    let taken = vec![doc! { "$set": {
        "holder": if_free(doc! { "$literal": holder }, "$holder"),
        "fence": if_free(doc! { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] }, "$fence"),
        "until": if_free(after(time), "$until"),
    } }];
    let leases = link.database.collection::<Document>(LEASES);
    let mut attempts = 0;
    loop {
        let take = leases.find_one_and_update(doc! { "_id": id(bucket) }, taken.clone());
        match take.upsert(true).return_document(ReturnDocument::After).await {
            Ok(Some(now)) if matches!(now.get_str("holder"), Ok(now) if now == holder) => {
                return Ok(Some(Lease { bucket, fence: fence_of(&now)? }));
            }
            Ok(_) => return Ok(None),
            // Somebody else takes it for the first time, too.
            Err(error) => writer::stand_back(&mut attempts, error.into()).await?,
        }
    }
}

/// Has it for a time from now on; false if it is over.
pub(super) async fn renew(link: &Link, lease: Lease, time: Duration) -> Result<bool, Fault> {
    let is_held = doc! { "$gt": ["$until", "$$NOW"] };
    let renewed = vec![
        doc! { "$set": { "until": { "$cond": [is_held, after(time), "$until"] } } },
        doc! { "$set": { "is_held": { "$gt": ["$until", "$$NOW"] } } },
    ];
    let leases = link.database.collection::<Document>(LEASES);
    let renew = leases.find_one_and_update(held(lease), renewed);
    let now = renew.return_document(ReturnDocument::After).await?;
    Ok(now.is_some_and(|now| now.get_bool("is_held").unwrap_or_default()))
}

/// Nobody has it any more. What was written under it is not to be written any more either.
pub(super) async fn release(link: &Link, lease: Lease) -> Result<(), Fault> {
    let leases = link.database.collection::<Document>(LEASES);
    let released = doc! { "$inc": { "fence": 1_i64 }, "$unset": { "holder": "", "until": "" } };
    leases.update_one(held(lease), released).await?;
    Ok(())
}

fn held(lease: Lease) -> Document {
    doc! { "_id": id(lease.bucket), "fence": read::to_count(lease.fence) }
}

fn fence_of(lease: &Document) -> Result<u64, Fault> {
    lease.get_i64("fence").map_err(Fault::from).and_then(read::count)
}

/// What is written in the same transaction holds only while nobody else takes the bucket: he would write this, too.
pub(super) fn touch(changes: &mut Changes, lease: Lease) {
    let as_held = doc! { "fence": read::to_count(lease.fence) };
    let touched = Change::AmendIf(as_held, doc! { "$inc": { "writes": 1_i64 } });
    changes.set(LEASES, id(lease.bucket).as_str(), touched);
}

/// Sees that none of these is over.
pub(super) async fn check(database: &Database, leases: &[Lease]) -> Result<(), Fault> {
    for lease in leases {
        let there = database.collection::<Document>(LEASES).find_one(held(*lease)).await?;
        if there.is_none() {
            return Err(Fault::Fenced(lease.bucket));
        }
    }
    Ok(())
}
