//! What is read from: the database as it is, or as it was at one moment.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mongodb::bson::Document;
use mongodb::options::{FindOptions, ReadConcern, TransactionOptions};
use mongodb::{ClientSession, Database};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::LIMIT;
use super::fault::Fault;

/// What can be read from a `T` at a time.
pub(super) trait Readable: DeserializeOwned + Send + Sync + Unpin + 'static {}

impl<T: DeserializeOwned + Send + Sync + Unpin + 'static> Readable for T {}

/// A database that is read from.
#[derive(Debug, Clone)]
pub(super) struct View {
    database: Database,
    /// In which all is read that is to be of one moment, one after the other.
    moment: Option<Arc<Mutex<ClientSession>>>,
}

impl View {
    /// As it is.
    pub(super) fn of(database: &Database) -> Self {
        Self { database: database.clone(), moment: None }
    }

    /// As it is when the first of it is read, however it changes afterwards. It is read in a transaction, which the server
    /// ends after a minute where its `transactionLifetimeLimitSeconds` says nothing else.
    pub(super) async fn of_one_moment(database: &Database) -> Result<Self, Fault> {
        let mut session = database.client().start_session().await?;
        let options = TransactionOptions::builder().read_concern(ReadConcern::snapshot()).build();
        session.start_transaction().with_options(options).await?;
        Ok(Self { database: database.clone(), moment: Some(Arc::new(Mutex::new(session))) })
    }

    /// What is of one moment stays as it was: nothing is written to it.
    pub(super) fn may_change(&self) -> Result<(), Fault> {
        let moment = || Fault::Unwritable("what is read as of one moment is not written to".to_owned());
        if self.moment.is_none() { Ok(()) } else { Err(moment()) }
    }

    /// The server need not keep the moment any longer; whether there was one.
    pub(super) async fn end(&self) -> bool {
        let Some(session) = &self.moment else { return false };
        // What is not ended here the server ends by itself.
        let _ = session.lock().await.abort_transaction().await;
        true
    }

    /// The documents of a collection that match.
    pub(super) async fn find<T: Readable>(
        &self,
        of: &str,
        filter: Document,
        options: FindOptions,
    ) -> Result<Vec<T>, Fault> {
        let collection = self.database.collection::<T>(of);
        let find = collection.find(filter).with_options(options);
        let Some(session) = &self.moment else { return Ok(find.await?.try_collect().await?) };
        let mut session = session.lock().await;
        let mut found = find.session(&mut *session).await?;
        Ok(found.stream(&mut session).try_collect().await?)
    }

    /// The document of a collection that matches.
    pub(super) async fn find_one<T: Readable>(&self, of: &str, filter: Document) -> Result<Option<T>, Fault> {
        let collection = self.database.collection::<T>(of);
        let find = collection.find_one(filter);
        let Some(session) = &self.moment else { return Ok(find.await?) };
        let mut session = session.lock().await;
        Ok(find.session(&mut *session).await?)
    }

    /// How many match.
    pub(super) async fn count(&self, of: &str, filter: Document) -> Result<u64, Fault> {
        let collection = self.database.collection::<Document>(of);
        let count = collection.count_documents(filter).max_time(LIMIT);
        let Some(session) = &self.moment else { return Ok(count.await?) };
        let mut session = session.lock().await;
        Ok(count.session(&mut *session).await?)
    }

    /// What a pipeline makes of a collection.
    pub(super) async fn aggregate<T: Readable>(&self, of: &str, pipeline: Vec<Document>) -> Result<Vec<T>, Fault> {
        let collection = self.database.collection::<Document>(of);
        let aggregate = collection.aggregate(pipeline).with_type::<T>();
        let Some(session) = &self.moment else { return Ok(aggregate.await?.try_collect().await?) };
        let mut session = session.lock().await;
        let mut found = aggregate.session(&mut *session).await?;
        Ok(found.stream(&mut session).try_collect().await?)
    }
}
