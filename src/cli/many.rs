//! Something run on many hosts: each shown as its output comes, or all of them once they have ended.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::alike::alike;
use super::args::Format;
use super::client::{API, Accept, Body, Client};
use super::columns::{RESULT_ROWS, field};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::live::{Told, end_of, or_why_waiting, to_end};
use super::output::Output;
use super::prefix::Prefix;
use super::progress::{Progress, names};
use super::results::newest;
use super::run::{AT_ONCE, Mode, NAMED, exit_of, or_cancelled, run_of, verdict, worst};
use super::session::Session;
use super::show;

use crate::model::RunId;

/// How often is looked for ends of runs that are not followed.
const LOOK: Duration = Duration::from_secs(1);

/// A run, and where.
type Started = (String, RunId);

/// Starts it on all its hosts, and follows it as far as that is wanted.
pub(super) async fn on_many(
    path: &str,
    body: &Body,
    mode: Mode,
    group: bool,
    session: &mut Session,
) -> Result<Exit, CliError> {
    let format = session.chosen_format();
    if format == Some(Format::Xml) {
        return Err(CliError::Usage(
            "-o xml: there is a Result of each host; allowed are json, yaml and name".to_owned(),
        ));
    }
    let client = session.client().await?;
    let answer = client.post_once(path, &[], body, Accept::Json, &mut session.output).await?.doc()?;
    let started = answer.list("runs").iter().map(|run| Ok((field(run, "host"), run_of(run)?)));
    let started: Vec<Started> = started.collect::<Result<_, CliError>>()?;
    let refused: Vec<String> = answer.list("refused").iter().map(|refused| field(refused, "host")).collect();
    for refused in answer.list("refused") {
        session.output.note(&format!("{}: error: {}", field(refused, "host"), field(refused, "detail")));
    }
    let Mode::Wait(deadline) = mode else {
        for (host, id) in &started {
            session.output.line(&id.to_string())?;
            session.output.note(&format!("{host}: started run {id}"));
        }
        return Ok(if refused.is_empty() { Exit::Ok } else { Exit::Failed });
    };
    if session.redraws_stderr {
        session.output.begin_progress(Progress::new(started.iter().map(|(host, _)| host.clone()).collect()));
    }
    let many = Many {
        client: &client,
        group: field(&answer, "group"),
        deadline,
        live: !group && format.is_none(),
        output: RefCell::new(&mut session.output),
        open: RefCell::new(started.clone()),
        ended: RefCell::default(),
        exits: RefCell::new(refused.iter().map(|_| Exit::Failed).collect()),
    };
    let note = |text: &str| many.output.borrow_mut().note(text);
    let done = or_cancelled(&client, &many.open, &note, many.follow(started.clone())).await;
    let (results, exits) = (many.ended.into_inner(), many.exits.into_inner());
    session.output.end_progress();
    if group {
        alike(&results)?.iter().try_for_each(|group| group.show(&mut session.output))?;
    }
    let hosts = started.into_iter().map(|(host, _)| host).chain(refused).collect();
    session.output.note(&summary(hosts, &results));
    if format.is_some() && !results.is_empty() {
        let total = Doc::Number(results.len().into());
        let all = Doc::map([("items", Some(Doc::List(results))), ("next", Some(Doc::Null)), ("total", Some(total))]);
        show::items(session, &all, &RESULT_ROWS, "no Result")?;
    }
    done.map(|()| worst(exits))
}

/// What is known of runs that go on together.
struct Many<'a> {
    client: &'a Client,
    /// What they have in common.
    group: String,
    deadline: Option<Instant>,
    /// Whether their output is shown as it comes.
    live: bool,
    output: RefCell<&'a mut Output>,
    /// Those that have not ended.
    open: RefCell<Vec<Started>>,
    /// Results of the others.
    ended: RefCell<Vec<Doc>>,
    exits: RefCell<Vec<Exit>>,
}

impl Many<'_> {
    /// Until all have ended. So many are followed from the first on; of the others only the ends are looked for, so that
    /// hosts that hang keep nobody's from being shown.
    async fn follow(&self, started: Vec<Started>) -> Result<(), CliError> {
        let mut waiting = VecDeque::from(started);
        let mut followed = FuturesUnordered::new();
        loop {
            while followed.len() < AT_ONCE
                && let Some(next) = waiting.pop_front()
            {
                followed.push(self.one(next));
            }
            tokio::select! {
                biased;
                Some(told) = followed.next() => told?,
                ended = self.others_ended(waiting.len()), if !waiting.is_empty() => {
                    let (ended, others) = waiting.into_iter().partition(|(_, id)| ended.contains(&id.to_string()));
                    waiting = others;
                    followed.extend(Vec::from(ended).into_iter().map(|one| self.one(one)));
                }
                else => return Ok(()),
            }
        }
    }

    /// Follows one to its end, and tells of it.
    async fn one(&self, (host, id): Started) -> Result<(), CliError> {
        let mut prefix = Prefix::new(&host);
        let ending = async {
            if !self.live {
                return end_of(self.client, id, self.deadline).await;
            }
            let mut tell = |told: Told<'_>| prefix.tell(told, &mut self.output.borrow_mut());
            to_end(self.client, id, self.deadline, &mut tell).await
        };
        let note = |text: &str| self.output.borrow_mut().note(&format!("{host}: {text}"));
        let result = or_why_waiting(self.client, id, &host, &note, ending).await;
        let output = &mut self.output.borrow_mut();
        prefix.end(output)?;
        self.open.borrow_mut().retain(|(_, open)| *open != id);
        let exit = result.as_ref().map_or_else(CliError::exit, exit_of);
        output.progress(|progress| progress.ended(&host, exit == Exit::Ok));
        self.exits.borrow_mut().push(exit);
        match result {
            Ok(result) => {
                if self.live {
                    output.note(&format!("{host}: {}", verdict(&result)));
                }
                self.ended.borrow_mut().push(result);
            }
            Err(error) => output.note(&format!("{host}: error: {error}")),
        }
        Ok(())
    }

    /// The ids of those that have ended, after a while; what cannot be asked now is asked again.
    async fn others_ended(&self, waiting: usize) -> BTreeSet<String> {
        tokio::time::sleep(LOOK).await;
        let most = waiting + self.ended.borrow().len() + AT_ONCE;
        let ended = newest(self.client, &format!("{API}/results"), &[("group", &self.group)], most).await;
        ended.map(|ended| ended.list("items").iter().map(|result| field(result, "id")).collect()).unwrap_or_default()
    }
}

/// `3 hosts: 2 OK, 1 not: web3`.
fn summary(mut hosts: Vec<String>, results: &[Doc]) -> String {
    let all = hosts.len();
    let good: BTreeSet<String> =
        results.iter().filter(|result| exit_of(result) == Exit::Ok).map(|result| field(result, "host")).collect();
    hosts.retain(|host| !good.contains(host));
    hosts.sort();
    let what = if all == 1 { "host" } else { "hosts" };
    match hosts.len() {
        0 => format!("{all} {what}: all OK"),
        bad => format!("{all} {what}: {} OK, {bad} not: {}", all - bad, names(&hosts, NAMED)),
    }
}
