"""The checker: is the ledger true to what was due, and to what the runs themselves have written down?"""

from collections import Counter, defaultdict
from typing import NamedTuple

import clock
from due import BLINK, due

# What says nothing of the task: the state stays.
NOT_COUNTED = {"aborted", "cancelled", "unreachable", "connection_lost", "auth", "host_key"}
# What is said of the end of a run comes after it, but the files of two may be written at once.
SLACK = 500


class Fault(NamedTuple):
    """Something is not as it must be."""

    kind: str
    what: str

    def __str__(self):
        return f"{self.kind}: {self.what}"


def check(history):
    """All faults."""
    faults = []
    for one in (checked_instants, checked_runs, checked_retries, checked_turns, checked_actions, checked_end):
        faults += one(history)
    return faults


def told(result):
    """A Result in a line."""
    reason = f" {result['reason']}" if result["reason"] else ""
    times = f"scheduled {clock.show(result['scheduled_at'])} due {clock.show(result['due_at'])}"
    return (
        f"{result['host']}/{result['task']} {result['id']} {result['trigger']} {result['outcome']}{reason} "
        f"{times} finished {clock.show(result['finished_at'])}"
    )


def pair_of(result):
    """Its host and task."""
    return result["host"], result["task"]


# === every due instant has exactly one Result, none that was not due ===


def checked_instants(history):
    """Each pair by itself."""
    results = defaultdict(list)
    for result in history.results:
        if result["trigger"] in ("schedule", "catch-up"):
            results[pair_of(result)].append(result)
    ids = Counter(result["id"] for result in history.results)
    for run, count in ids.items():
        if count > 1:
            yield Fault("twice", f"result {run} is listed {count} times")
    pairs = {pair for change in history.changes for pair in change.lines} | set(results)
    # The last change takes all lines away.
    until = history.changes[-1].answered
    for pair in sorted(pairs):
        yield from pair_checked(pair, due(history.changes, pair, until, history.stops), results[pair])


def pair_checked(pair, table, results):
    """The Results of one pair against what was due."""
    cover = defaultdict(list)
    for result in sorted(results, key=lambda result: result["due_at"]):
        if result.get("instants"):
            covered = folded(table, result)
            most, least = len(covered), sum(table[at].must for at in covered)
            if not least <= result["instants"]["count"] <= most:
                yield Fault("fold", f"tells of {result['instants']['count']} instants, {least} to {most} were: {told(result)}")
        elif result["due_at"] in table:
            covered = [result["due_at"]]
        else:
            covered = []
            yield Fault("not due", told(result))
        if covered and result["scheduled_at"] not in table[covered[-1]].at:
            yield Fault("not due", f"the instant is another one: {told(result)}")
        for at in covered:
            cover[at].append(result)
    for at in sorted(table):
        if len(cover[at]) > 1:
            yield Fault("twice", "; ".join(told(result) for result in cover[at]))
        if not cover[at] and table[at].must:
            instants = " and ".join(clock.show(instant) for instant in table[at].at)
            yield Fault("no result", f"{'/'.join(pair)} scheduled {instants} due {clock.show(at)}")


def folded(table, result):
    """What a Result of many instants covers: those from the first that was due at its beginning on."""
    first = min((at for at, one in table.items() if result["instants"]["from"] in one.at), default=result["due_at"])
    return sorted(at for at in table if first <= at <= result["due_at"])


# === the runs themselves ===


def checked_runs(history):
    """What the runs wrote against what Alf says of them."""
    results = {result["id"]: result for result in history.results}
    for run, begins in history.begins.items():
        if len(begins) > 1:
            yield Fault("ran twice", f"run {run} began at {', '.join(clock.show(begin.at) for begin in begins)}")
        begin = begins[0]
        result = results.get(run)
        if result is None:
            yield Fault("run without result", f"{begin.host}/{begin.task} run {run} began {clock.show(begin.at)}")
            continue
        if (begin.host, begin.task, begin.scheduled_at) != (*pair_of(result), result["scheduled_at"]):
            yield Fault("another run", f"it says of itself {begin}: {told(result)}")
        if result["started_at"] is None and result["reason"] != "aborted":
            yield Fault("executed", f"it began at {clock.show(begin.at)}: {told(result)}")
        if begin.at < result["due_at"] - BLINK:
            yield Fault("too early", f"it began at {clock.show(begin.at)}: {told(result)}")
    for result in history.results:
        yield from verdict_checked(result, history.ends.get(result["id"], []))
    for run, host, task in history.acknowledged:
        if run not in results:
            yield Fault("no result", f"the run {run} of {task} on {host} was acknowledged")


def verdict_checked(result, ends):
    """A Result against the end that its run has written down."""
    if len(ends) > 1:
        yield Fault("ran twice", f"it ended {len(ends)} times: {told(result)}")
    code = ends[0].code if ends else None
    if result["outcome"] == "OK" and code != 0:
        yield Fault("false OK", f"its run {f'ended with {code}' if ends else 'has not ended'}: {told(result)}")
    elif result["exit_code"] is not None and result["reason"] != "timeout" and result["exit_code"] != code:
        yield Fault("false verdict", f"it says {result['exit_code']}, its run {code}: {told(result)}")
    # One whose connection was lost is looked for later, and may have come to its end by then.
    gone = (result.get("kill") or {}).get("gone") and result["reason"] != "connection_lost"
    if gone and ends and ends[0].at > result["finished_at"] + SLACK:
        yield Fault("went on", f"it ended at {clock.show(ends[0].at)}, and was said to be gone: {told(result)}")


def checked_retries(history):
    """Another attempt is of a run that was, and there are not more than the task allows."""
    first, retries = set(), Counter()
    for result in history.results:
        key = (*pair_of(result), result["scheduled_at"])
        if result["trigger"] == "retry":
            retries[key] += 1
        else:
            first.add(key)
    for key, count in retries.items():
        host, task, at = key
        if key not in first:
            yield Fault("retry", f"{host}/{task} scheduled {clock.show(at)}: of no run at all")
        most = history.tasks.get(task, {}).get("max_attempts", 1) - 1
        if count > most:
            yield Fault("retry", f"{host}/{task} scheduled {clock.show(at)}: {count} other attempts, {most} allowed")


def checked_turns(history):
    """While there was no fault: runs of a pair one after the other, but where the task allows more."""
    by_pair = defaultdict(list)
    for run, (begin, *_) in history.begins.items():
        ends = history.ends.get(run)
        if ends and ends[0].at < history.quiet_until and history.tasks.get(begin.task, {}).get("overlap") != "allow":
            by_pair[begin.host, begin.task].append((begin.at, ends[0].at, run))
    for pair, runs in by_pair.items():
        runs.sort()
        for (_, end, one), (begin, _, other) in zip(runs, runs[1:]):
            if begin < end:
                yield Fault("at once", f"{'/'.join(pair)}: run {other} began before the end of {one}")


# === what follows from Results ===


def checked_actions(history):
    """Each PROBLEM that an Action was for has led to one run, and no other Result has."""
    results = {result["id"]: result for result in history.results}
    fired = defaultdict(list)
    for result in history.results:
        if result["trigger"] == "action":
            fired[(result["cause"] or {}).get("result")].append(result)
    for cause, runs in fired.items():
        if cause not in results:
            yield Fault("fired", f"because of no result ({cause}): {told(runs[0])}")
        if len(runs) > 1:
            yield Fault("fired twice", f"{told(results[cause]) if cause in results else cause}: {'; '.join(map(told, runs))}")
    for run, trace in history.traces.items():
        if trace["at"] is None:
            yield Fault("not looked at", f"{trace['why']}: {told(results[run])}")
            continue
        matched = any(item["matched"] for item in trace["items"])
        if matched and run not in fired and not is_owed(trace):
            yield Fault("not fired", f"{trace['items']}: {told(results[run])}")
        if run in fired and not matched:
            yield Fault("fired", f"though its trace says {trace['items']}: {told(results[run])}")


def is_owed(trace):
    """Whether it was held back as its host was down: then it is told as it stands when the host is up, if it still is so."""
    return any(held["reason"] == "host_down" for item in trace["items"] for held in item.get("held", ()))


# === what is left ===


def checked_end(history):
    """Nothing goes on, the states are those of the Results, and Alf itself behaved."""
    for run in history.runs:
        yield Fault("unfinished", f"{run['host']}/{run['task']} run {run['id']} is {run['state']}")
    results = {result["id"]: result for result in history.results}
    newest = {}
    for result in sorted(history.results, key=lambda result: result["finished_at"]):
        newest[pair_of(result)] = result
    for row in history.statuses:
        pair = pair_of(row)
        last = [results.get(one["id"]) for one in row["last"]]
        if None in last:
            yield Fault("status", f"{'/'.join(pair)}: its last {row['last'][last.index(None)]['id']} is no Result")
            continue
        if pair in newest and newest[pair]["finished_at"] > history.quiet_since and newest[pair] not in last:
            yield Fault("status", f"{'/'.join(pair)}: not among its last: {told(newest[pair])}")
        # While its host was down a Result did not count, and when that was is not known: only the end is looked at.
        counted = (one for one in last if one["outcome"] != "SKIPPED" and one["reason"] not in NOT_COUNTED)
        counts = next((one for one in counted if one["finished_at"] > history.quiet_since), None)
        if counts and (row["outcome"], row["state"]) != (counts["outcome"], counts["state"]):
            yield Fault("status", f"{'/'.join(pair)} is {row['outcome']} {row['state']}, but {told(counts)}")
    for fault in history.faults:
        yield Fault("alf", fault)
