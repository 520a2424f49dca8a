//! The way to the server.

use std::sync::Arc;
use std::time::Duration;

use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Database};

use super::fault::Fault;
use super::sessions::Sessions;
use super::tallies::SLOTS;
use crate::store::StoreError;

/// How long a server may take to be found, and to let Alf connect, where the URL says nothing else: whoever reads is to
/// hear in good time that it is away.
const SELECTION: Duration = Duration::from_secs(3);
/// How long the members of a replica set may take to have a write on their disks.
const REPLICATION: Duration = Duration::from_secs(20);

/// The way to a database.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) client: Client,
    pub(super) database: Database,
    pub(super) sessions: Arc<Sessions>,
    /// Where it is, for messages: addresses and name, nothing of who logs in.
    pub(super) place: String,
    /// Under which of the documents of an hour this node counts its Results: one of its own, most likely.
    pub(super) slot: u8,
}

/// The way to a database at a URL. Nothing is sent yet, but DNS may be asked for the servers.
pub(super) async fn link(url: &str, database: &str, node: Option<&str>) -> Result<Link, StoreError> {
    let failed = |fault: Fault| fault.at_opening(&format!("MongoDB, database {database}"));
    let mut options = ClientOptions::parse(url).await.map_err(|error| failed(error.into()))?;
    let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
    let place = format!("mongodb://{}/{database}", hosts.join(","));
    options.app_name.get_or_insert_with(|| "alf".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(SELECTION);
    // What is answered stays, whichever server fails; what is read was answered, or will be.
    let durable = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(REPLICATION).build();
    options.write_concern = Some(durable);
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let client = Client::with_options(options).map_err(|error| failed(error.into()))?;
    let database = client.database(database);
    let sessions = Arc::new(Sessions::new(&database, node));
    Ok(Link { database, client, sessions, place, slot: rand::random_range(0..SLOTS) })
}
