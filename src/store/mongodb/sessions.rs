//! The sessions in which transactions run. A transaction that a killed Alf has left open holds its documents for a
//! minute; so a node writes down which sessions it has, and ends those of its life before when it starts.

use std::sync::{Mutex, PoisonError};

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, ClientSession, Database};

use super::fault::Fault;
use super::schema::META;

/// So many sessions are remembered of a node: more than it has at once.
const REMEMBERED: i32 = 32;

/// Sessions of a node, or of a program that is none.
#[derive(Debug)]
pub(super) struct Sessions {
    client: Client,
    database: Database,
    /// Under which id it is written down whose they are.
    node: Option<String>,
    idle: Mutex<Vec<ClientSession>>,
}

impl Sessions {
    pub(super) fn new(database: &Database, node: Option<&str>) -> Self {
        let node = node.map(|node| format!("sessions/{node}"));
        Self { client: database.client().clone(), database: database.clone(), node, idle: Mutex::default() }
    }

    /// Ends the sessions that this node had in its life before, with what is going on in them. Whoever else should have
    /// taken its name does again what was cut off.
    pub(super) async fn end_former(&self) -> Result<(), Fault> {
        let Some(node) = &self.node else { return Ok(()) };
        let meta = self.database.collection::<Document>(META);
        let Some(former) = meta.find_one_and_delete(doc! { "_id": node }).await? else { return Ok(()) };
        if let Some(former @ Bson::Array(_)) = former.get("sessions") {
            let ended = self.client.database("admin").run_command(doc! { "killSessions": former.clone() }).await;
            if let Err(error) = ended {
                let error = Fault::from(error);
                log::warn!("what this node may have left open in the database ends by itself within a minute: {error}");
            }
        }
        Ok(())
    }

    /// A session that nobody uses; it is given back with [`Self::give_back`].
    pub(super) async fn take(&self) -> Result<ClientSession, Fault> {
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(idle);
        }
        let session = self.client.start_session().await?;
        if let Some(node) = &self.node {
            // Before there is anything in it that could be left open.
            let noted = doc! { "$push": { "sessions": { "$each": [session.id().clone()], "$slice": -REMEMBERED } } };
            let meta = self.database.collection::<Document>(META);
            meta.update_one(doc! { "_id": node }, noted).upsert(true).await?;
        }
        Ok(session)
    }

    /// The next transaction in it ends what may be left of the one before.
    pub(super) fn give_back(&self, session: ClientSession) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    /// Nothing is left to be ended.
    pub(super) fn close(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
