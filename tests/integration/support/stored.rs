//! What a service keeps, wherever it keeps it: files in its data directory, and in its database if it has one elsewhere.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use mongodb::bson::{RawDocumentBuf, doc};

use super::service::{Service, elsewhere};
use crate::mongo_server::with_client;

/// Whether the tests' stores are in MongoDB. What a test says of SQLite's file is said of nothing then.
pub(crate) fn is_in_mongodb() -> bool {
    std::env::var("ALF_TEST_STORE").is_ok_and(|store| store == "mongodb")
}

/// For tests that are about SQLite's file, and about nothing where there is none.
pub(crate) fn has_no_file() -> bool {
    if is_in_mongodb() {
        let _ = writeln!(std::io::stderr(), "left out: this is about SQLite's file, and the store is in MongoDB");
    }
    is_in_mongodb()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

impl Service {
    /// Everything it keeps, byte by byte: where, and what.
    pub(crate) fn kept(&self) -> Vec<(String, Vec<u8>)> {
        let files = files(&self.data_dir()).into_iter();
        // Some come and go.
        let mut kept: Vec<_> =
            files.map(|file| (file.display().to_string(), std::fs::read(&file).unwrap_or_default())).collect();
        kept.extend(self.documents(None).into_iter().map(|(of, document)| (of, document.into_bytes())));
        kept
    }

    /// How many different bytes of programs it keeps.
    pub(crate) fn programs_kept(&self) -> usize {
        if !is_in_mongodb() {
            let database = rusqlite::Connection::open(self.data_dir().join("alf.db")).unwrap();
            return database.query_row("SELECT count(*) FROM blobs", [], |row| row.get::<_, u32>(0)).unwrap() as usize;
        }
        let chunks = self.documents(Some("blobs"));
        // Each begins with the hash of the whole.
        let name = |chunk: &RawDocumentBuf| chunk.get_str("_id").unwrap().split('/').next().unwrap().to_owned();
        chunks.iter().map(|(_, chunk)| name(chunk)).collect::<BTreeSet<_>>().len()
    }

    /// The documents of a collection, or of all; none where the store is a file.
    fn documents(&self, only: Option<&str>) -> Vec<(String, RawDocumentBuf)> {
        let Some((url, name)) = elsewhere(self.dir()) else { return Vec::new() };
        with_client(&url, async |client| {
            let database = client.database(&name);
            let mut all = Vec::new();
            for of in database.list_collection_names().await.unwrap() {
                if only.is_none_or(|only| only == of) {
                    let found = database.collection::<RawDocumentBuf>(&of).find(doc! {}).await.unwrap();
                    let found: Vec<_> = found.try_collect().await.unwrap();
                    all.extend(found.into_iter().map(|document| (of.clone(), document)));
                }
            }
            all
        })
    }
}
