//! Writing: what is large ahead, what changes one document alone in one command, all else in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use mongodb::ClientSession;
use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc, serialize_to_raw_document_buf};
use mongodb::error::UNKNOWN_TRANSACTION_COMMIT_RESULT;

use super::changes::{Change, Changes, Key, Statement};
use super::connect::Link;
use super::fault::Fault;
use super::once;
use crate::model::Timestamp;

/// How often what others were faster at is tried again at once.
const ATTEMPTS: u32 = 200;
/// How often a transaction is told again to commit, when nobody knows whether it did.
const COMMITS: u32 = 3;
/// Most statements of one command, and most bytes of them but for the first: a message has 48 MB at most.
const STATEMENTS: (usize, usize) = (1000, 8 << 20);

/// What a transaction does, one after the other.
pub(super) enum Step {
    Changes(Changes),
    /// Forgets requests of before an instant, and of the others the oldest beyond so many.
    ForgetRequests {
        before: Timestamp,
        most: u64,
    },
}

/// Waits a moment, if somebody else was faster and what was tried is to be tried again; else it has failed.
pub(super) async fn stand_back(attempts: &mut u32, fault: Fault) -> Result<(), Fault> {
    if !fault.is_race() || *attempts >= ATTEMPTS {
        return Err(fault);
    }
    let most = 1 << (*attempts).min(6);
    *attempts += 1;
    tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
    Ok(())
}

/// Does all of it, or nothing.
pub(super) async fn write(link: &Link, mut steps: Vec<Step>) -> Result<(), Fault> {
    steps.retain(|step| !matches!(step, Step::Changes(changes) if changes.len() == 0));
    for step in &mut steps {
        if let Step::Changes(changes) = step {
            ahead(link, std::mem::take(&mut changes.ahead)).await?;
        }
    }
    if let [Step::Changes(changes)] = steps.as_mut_slice()
        && changes.len() == 1
        && let Some(((of, key), change)) = changes.changes.pop_first()
    {
        return one(link, of, &key, change).await;
    }
    if steps.is_empty() {
        return Ok(());
    }
    let mut session = link.sessions.take().await?;
    session.start_transaction().await?;
    let written = match all(link, &mut session, steps).await {
        Ok(()) => commit(&mut session).await,
        Err(fault) => {
            // What is not aborted here the next transaction of the session ends, or the server by itself.
            let _ = session.abort_transaction().await;
            Err(fault)
        }
    };
    link.sessions.give_back(session);
    written
}

async fn commit(session: &mut ClientSession) -> Result<(), Fault> {
    let mut left = COMMITS;
    loop {
        match session.commit_transaction().await {
            Err(error) if left > 0 && error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => left -= 1,
            committed => return Ok(committed?),
        }
    }
}

/// Writes what is large. Who is killed behind this has changed nothing, and who does the same again finds it there.
async fn ahead(link: &Link, documents: BTreeMap<(&'static str, String), Document>) -> Result<(), Fault> {
    for ((of, id), document) in documents {
        let of = link.database.collection::<Document>(of);
        of.replace_one(doc! { "_id": id }, document).upsert(true).await?;
    }
    Ok(())
}

/// One change of one document: the driver sees to it that it is done once.
async fn one(link: &Link, of: &str, key: &Key, change: Change) -> Result<(), Fault> {
    let collection = link.database.collection::<Document>(of);
    let is_conditional = change.is_conditional();
    let found = match change.statement(key) {
        Statement::Update { filter, update, upsert } => {
            let is_whole = update.keys().next().is_none_or(|key| !key.starts_with('$'));
            let done = if is_whole {
                collection.replace_one(filter, update).upsert(upsert).await?
            } else {
                collection.update_one(filter, update).upsert(upsert).await?
            };
            done.matched_count > 0 || done.upserted_id.is_some()
        }
        Statement::Delete { filter, many: false } => collection.delete_one(filter).await?.deleted_count > 0,
        Statement::Delete { filter, many: true } => collection.delete_many(filter).await?.deleted_count > 0,
    };
    if is_conditional && !found { Err(Fault::Stale) } else { Ok(()) }
}

async fn all(link: &Link, session: &mut ClientSession, steps: Vec<Step>) -> Result<(), Fault> {
    for step in steps {
        match step {
            Step::Changes(changes) => change(link, session, changes).await?,
            Step::ForgetRequests { before, most } => {
                once::forget_old(&link.database, session, before, most).await?;
            }
        }
    }
    Ok(())
}

async fn change(link: &Link, session: &mut ClientSession, changes: Changes) -> Result<(), Fault> {
    for (into, documents) in changes.inserts {
        link.database.collection::<RawDocumentBuf>(into).insert_many(documents).session(&mut *session).await?;
    }
    let mut batches: BTreeMap<(&str, &str, bool), Vec<RawDocumentBuf>> = BTreeMap::new();
    for ((of, key), change) in changes.changes {
        let is_conditional = change.is_conditional();
        let (command, statement) = match change.statement(&key) {
            Statement::Update { filter, update, upsert } => {
                ("update", doc! { "q": filter, "u": update, "upsert": upsert })
            }
            Statement::Delete { filter, many } => ("delete", doc! { "q": filter, "limit": i32::from(!many) }),
        };
        let statement =
            serialize_to_raw_document_buf(&statement).map_err(|error| Fault::Unwritable(error.to_string()))?;
        batches.entry((of, command, is_conditional)).or_default().push(statement);
    }
    for ((of, command, is_conditional), statements) in batches {
        let mut statements = statements.into_iter().peekable();
        while statements.peek().is_some() {
            let (mut batch, mut count, mut bytes) = (RawArrayBuf::new(), 0, 0);
            while let Some(statement) = statements
                .next_if(|next| count == 0 || (count < STATEMENTS.0 && bytes + next.as_bytes().len() <= STATEMENTS.1))
            {
                count += 1;
                bytes += statement.as_bytes().len();
                batch.push(statement);
            }
            let found = run(link, session, of, command, batch).await?;
            if is_conditional && found != count {
                return Err(Fault::Stale);
            }
        }
    }
    Ok(())
}

/// Has statements done, in one command; for how many of them there was a document.
async fn run(
    link: &Link,
    session: &mut ClientSession,
    of: &str,
    command: &str,
    statements: RawArrayBuf,
) -> Result<usize, Fault> {
    let command = match command {
        "update" => rawdoc! { "update": of, "updates": statements },
        _ => rawdoc! { "delete": of, "deletes": statements },
    };
    let answer = link.database.run_raw_command(command).session(session).await?;
    if let Some(error) = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document()) {
        let code = error.get_i32("code").unwrap_or_default();
        let message = error.get_str("errmsg").unwrap_or("a statement failed").to_owned();
        return Err(Fault::Statement { code, message });
    }
    Ok(usize::try_from(answer.get_i32("n").unwrap_or_default()).unwrap_or_default())
}
