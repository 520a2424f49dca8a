//! Where a store is that is measured: in a directory, or on a MongoDB server, in a database of the bench's own, where a bare
//! program writes the same documents, too.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use alf::store::Store;
use alf::store::mongodb::MongoStore;
use alf::store::sqlite::SqliteStore;
use clap::Args;
use futures_util::TryStreamExt as _;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Database, IndexModel};
use tokio::time::Instant;

use crate::support::{Failure, cpu_ms};

/// The bench's own, to be dropped.
const DATABASE: &str = "alf_bench";

/// A directory, which must be there, and where the store itself is if not in it.
#[derive(Debug, Clone, Args)]
pub(crate) struct Place {
    /// The store's directory.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) server: Server,
}

/// A MongoDB server, or none.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Server {
    /// The store is on this MongoDB server (`mongodb://…`), in its database `alf_bench`, which is dropped.
    #[arg(long, value_name = "URL")]
    mongodb: Option<String>,
}

impl Place {
    /// All of it in this directory.
    pub(crate) fn directory(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), server: Server::default() }
    }

    /// The store that is there, or a new one.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        Ok(match &self.server.mongodb {
            Some(url) => Arc::new(MongoStore::open(url, DATABASE, None).await?),
            None => Arc::new(SqliteStore::open(&self.dir)?),
        })
    }
}

impl Server {
    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.mongodb.is_some()
    }

    /// Drops what is on it of the bench.
    pub(crate) async fn clear(&self) -> Result<(), Failure> {
        match &self.mongodb {
            Some(url) => Ok(database(url).await?.drop().await?),
            None => Ok(()),
        }
    }

    /// The Results of the store that is there inserted once more, so many in a batch, into a collection with the same indexes;
    /// how long it took, and the CPU of this program in milliseconds.
    pub(crate) async fn bare(&self, results: usize, batch: usize) -> Result<(f64, f64), Failure> {
        let url = self.mongodb.as_deref().ok_or("there is no server")?;
        let database = database(url).await?;
        let from = database.collection::<RawDocumentBuf>("results");
        let to = database.collection::<RawDocumentBuf>("bare");
        let indexes: Vec<IndexModel> = from.list_indexes().await?.try_collect().await?;
        to.create_indexes(indexes.into_iter().filter(|index| index.keys != doc! { "_id": 1 })).await?;
        let all: Vec<_> = from.find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await?;
        if all.len() != results {
            return Err(format!("{} documents of {results} Results", all.len()).into());
        }
        let (cpu, begun) = (cpu_ms()?, Instant::now());
        for batch in all.chunks(batch) {
            to.insert_many(batch).await?;
        }
        Ok((begun.elapsed().as_secs_f64(), cpu_ms()? - cpu))
    }
}

/// What is answered is on disk, as the store has it.
async fn database(url: &str) -> Result<Database, Failure> {
    let mut options = ClientOptions::parse(url).await?;
    options.write_concern = Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    Ok(Client::with_options(options)?.database(DATABASE))
}
