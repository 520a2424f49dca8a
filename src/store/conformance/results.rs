//! Results come back whole, byte for byte.

use super::samples::{DAY, at, full_result, id, metrics, name, result, save};
use super::{commit, must};
use crate::model::{
    Captured, Kill, Outcome, PAGE_PERFDATA, Reason, ResultPage, ResultQuery, RunId, RunResult, State, Trigger,
};
use crate::store::{Store, Write, Written};

const REASONS: [Reason; 16] = [
    Reason::ExitCode,
    Reason::Output,
    Reason::Duration,
    Reason::Timeout,
    Reason::Signal,
    Reason::Setup,
    Reason::Unreachable,
    Reason::ConnectionLost,
    Reason::Auth,
    Reason::HostKey,
    Reason::Refused,
    Reason::Aborted,
    Reason::Cancelled,
    Reason::Overlap,
    Reason::Missed,
    Reason::Late,
];

/// Results of every kind.
fn variety() -> Vec<RunResult> {
    let (host, task) = (name("results"), name("variety"));
    let plain = |millis| result(&host, &task, id(millis));
    let mut all: Vec<_> = REASONS
        .iter()
        .map(|reason| {
            let (outcome, state) = reason.verdict();
            RunResult { outcome, state, reason: Some(*reason), ..plain(1) }
        })
        .collect();
    for trigger in Trigger::ALL {
        all.push(RunResult { trigger, ..plain(2) });
    }
    for state in [State::Ok, State::Warning, State::Critical, State::Unknown] {
        all.push(RunResult { state: Some(state), outcome: Outcome::Problem, ..plain(3) });
    }
    for exit_code in [0, 255, i32::MIN, i32::MAX] {
        all.push(RunResult { exit_code: Some(exit_code), ..plain(4) });
    }
    let long: Vec<u8> = (0..1_048_576_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let outputs = [
        Captured::default(),
        Captured::new(Vec::new(), 5),
        Captured::new(vec![0], 1),
        Captured::new(b"\xff\xfe not text \x00".to_vec(), 13),
        Captured::new(long.clone(), 1_048_576),
        Captured::new(long, 1_048_577),
    ];
    for (output, other) in outputs.iter().zip(outputs.iter().rev()) {
        all.push(RunResult { stdout: output.clone(), stderr: other.clone(), ..plain(5) });
    }
    let kill = Kill { requested_at: at(6), gone: None, detail: String::new() };
    all.push(RunResult { kill: Some(Kill { gone: Some(false), ..kill.clone() }), ..plain(6) });
    all.push(RunResult { kill: Some(kill), ..plain(6) });
    for count in [1, 5, 200] {
        all.push(RunResult { perfdata: Some(metrics(count)), ..plain(8) });
    }
    all.push(full_result(&host, &task, id(7)));
    for day in [-400, -1, 0, 1, 2, 365] {
        all.push(full_result(&host, &task, id(day * DAY)));
    }
    all
}

/// Every Result comes back as it was saved, and on a page without its output but with the true counts.
pub(super) async fn round_trip(store: &dyn Store) {
    let before = must("counts", store.counts().await).results;
    let mut all = variety();
    commit(store, all.iter().cloned().map(save).collect()).await;
    for saved in &all {
        let found = must("result", store.result(saved.id).await);
        assert_eq!(found.as_ref(), Some(saved), "a Result must come back as it was saved");
    }
    assert_eq!(must("result", store.result(id(0)).await), None, "there is no Result with an id never saved");
    assert_eq!(must("result", store.result(id(-4000 * DAY)).await), None, "nor one of a day without any");
    let counts = must("counts", store.counts().await);
    assert_eq!(counts.results, before + all.len() as u64, "counts must count Results");

    let query = ResultQuery { host: Some(name("results")), limit: 1000, ..ResultQuery::default() };
    let page = must("results", store.results(query).await);
    all.sort_by_key(|result| std::cmp::Reverse(result.id));
    assert_eq!(page.items.len(), all.len());
    for (shown, saved) in page.items.iter().zip(&all) {
        assert!(shown.stdout.bytes.is_empty() && shown.stderr.bytes.is_empty(), "a page must leave output out");
        assert_eq!(shown.stdout.truncated(), saved.stdout.truncated(), "a page must say what was truncated");
        assert_eq!(shown.stderr.truncated(), saved.stderr.truncated(), "a page must say what was truncated");
        let counted = |output: &Captured| Captured::counted(output.kept, output.total);
        let json = must("perfdata", serde_json::to_string(&saved.perfdata)).len() as u64;
        let perfdata = saved.perfdata.clone().filter(|_| json <= PAGE_PERFDATA);
        let expected =
            RunResult { stdout: counted(&saved.stdout), stderr: counted(&saved.stderr), perfdata, ..saved.clone() };
        assert_eq!(*shown, expected, "but for the output, a page must show a Result as it was saved");
    }
}

/// Ids that begin with the same time and counter, as a clock that is set back makes them, are different Results; in
/// whatever order they are saved, they come out in the order of their ids.
pub(super) async fn twins(store: &dyn Store) {
    let host = name("twins");
    for (task, order) in [("up", [1, 2, 3, 4, 5]), ("down", [5, 4, 3, 2, 1]), ("mixed", [3, 1, 5, 2, 4])] {
        let (task, first) = (name(task), id(10));
        let twin = |last: u8| {
            let mut bytes = *first.as_bytes();
            bytes[15] = last;
            RunId::from_bytes(bytes)
        };
        for last in order {
            let saved = result(&host, &task, twin(last));
            commit(store, vec![save(saved.clone()), save(saved)]).await;
        }
        let expected = [5, 4, 3, 2, 1].map(twin);
        for saved in expected {
            let found = must("result", store.result(saved).await).map(|result| result.id);
            assert_eq!(found, Some(saved), "each of the twins must be found");
        }
        let mut query =
            ResultQuery { host: Some(host.clone()), task: Some(task), limit: 100, ..ResultQuery::default() };
        let ids = |page: ResultPage| page.items.iter().map(|item| item.id).collect::<Vec<_>>();
        let all = ids(must("results", store.results(query.clone()).await));
        assert_eq!(all, expected, "twins must come in the order of their ids");
        query.before = Some(expected[1]);
        let rest = ids(must("results", store.results(query).await));
        assert_eq!(rest, expected[2..], "a page must be able to begin between twins");
    }
}

/// Results of much output come back whole, and go with all of it.
pub(super) async fn large(store: &dyn Store) {
    let (host, task) = (name("results"), name("large"));
    for mebibytes in [5, 64] {
        let length = mebibytes << 20;
        let stdout = Captured::new((0..=255).cycle().take(length).collect(), length as u64);
        let large = RunResult { stdout, ..result(&host, &task, id(9)) };
        let (save, remove) = (save(large.clone()), Write::RemoveResults(vec![large.id]));
        // Not shown where they differ.
        let is_there = async || must("result", store.result(large.id).await).as_ref() == Some(&large);
        commit(store, vec![save.clone()]).await;
        assert!(is_there().await, "{mebibytes} MiB must come back whole");
        if mebibytes == 5 {
            let again = commit(store, vec![remove.clone(), save]).await;
            assert_eq!(again, [Written::Removed(1), Written::Done]);
            assert!(is_there().await, "what is saved behind a removal must be there");
        }
        assert_eq!(commit(store, vec![remove]).await, [Written::Removed(1)]);
        assert_eq!(must("result", store.result(large.id).await), None);
    }
}
