//! `alf store prune`: retention by hand.

use std::io::{self, Write as _};
use std::process::ExitCode;

use tokio::time::{Duration, Instant};

use super::{UpkeepError, beside, file, note, open};
use crate::cli::PruneArgs;
use crate::clock::Clock;
use crate::data_dir::DataDirError;
use crate::model::{Keep, Noun, Retention, RunId, TaskDocument};
use crate::serve;
use crate::settings::{Settings, StoreKind};
use crate::store::retention::{Progress, Rules, Swept, foresee, sweep};
use crate::store::sqlite::upkeep;
use crate::store::{Store, StoreError, Write, Written};

/// So many Results go in one commit.
const STEP: usize = 500;
/// How often it is said how far it is.
const TELL: Duration = Duration::from_secs(2);

pub(super) async fn run(settings: &Settings, args: &PruneArgs) -> Result<ExitCode, UpkeepError> {
    let kind = &settings.store.kind;
    match kind {
        StoreKind::Sqlite => drop(file(settings)?),
        StoreKind::Mongodb { .. } if args.compact => {
            return Err(UpkeepError::Refused(
                "--compact is for a store in a file: a MongoDB server uses free room again by itself".to_owned(),
            ));
        }
        StoreKind::Mongodb { .. } => {}
    }
    let retention = wanted(serve::retention(settings), args);
    if args.dry_run {
        let store = beside(settings, kind).await?;
        let rules = rules(&*store, &retention).await?;
        let foreseen = foresee(&*store, &rules, Clock::Wall.now().into()).await?;
        store.close().await;
        return tell(&foreseen, "would go");
    }
    let (_held, store) = match open(settings).await {
        Err(UpkeepError::DataDir(DataDirError::InUse { .. })) => {
            return Err(UpkeepError::Running(
                "it removes old results by itself every ten minutes, by retention.* of its settings; to prune by hand stop it first",
            ));
        }
        opened => opened?,
    };
    let rules = rules(&*store, &retention).await?;
    let (mut removed, mut told) = (0, Instant::now());
    let removing = async |ids: Vec<RunId>| {
        let mut here = 0;
        for step in ids.chunks(STEP) {
            for written in store.commit(vec![Write::RemoveResults(step.to_vec())]).await? {
                here += if let Written::Removed(count) = written { count } else { 0 };
            }
        }
        removed += here;
        if told.elapsed() >= TELL {
            note(&format!("{removed} results removed"));
            told = Instant::now();
        }
        Ok::<_, StoreError>(here)
    };
    let swept = sweep(&*store, &rules, &mut Progress::default(), Clock::Wall.now().into(), removing).await?;
    while store.give_back().await? {}
    store.close().await;
    if args.compact {
        upkeep::compact(&settings.data_dir)?;
    }
    tell(&swept, "are gone")
}

/// The settings, but for what was said otherwise.
fn wanted(settings: Retention, args: &PruneArgs) -> Retention {
    let keep = Keep {
        max_age: args.max_age.unwrap_or(settings.keep.max_age),
        max_count: args.max_count.or(settings.keep.max_count),
        keep_problems: args.keep_problems.unwrap_or(settings.keep.keep_problems),
    };
    Retention { keep, max_bytes: args.max_bytes.or(settings.max_bytes) }
}

/// What goes by this, and by what tasks say. Of a task's document nothing else is read: no key is needed for that.
async fn rules(store: &dyn Store, retention: &Retention) -> Result<Rules, StoreError> {
    let mut own = Vec::new();
    for row in store.load().await?.definitions.into_iter().filter(|row| row.noun == Noun::Task) {
        let document: TaskDocument = serde_json::from_str(&row.body)
            .map_err(|error| StoreError::Corrupt(format!("task \"{}\": {error}", row.name)))?;
        own.extend(document.retention.map(|own| (row.name, retention.keep.with(&own))));
    }
    Ok(Rules::new(retention, own))
}

fn tell(swept: &Swept, what: &str) -> Result<ExitCode, UpkeepError> {
    let _ = writeln!(
        io::stdout(),
        "{} results {what}: {} by age, {} by number, {} by size",
        swept.all(),
        swept.by_age,
        swept.by_count,
        swept.by_bytes
    );
    Ok(ExitCode::SUCCESS)
}
