"""A checker that finds nothing proves nothing: it is given histories that were doctored, and has to find it."""

import copy

from checker import check
from definitions import Change
from history import Begin, End, History
from instants import SECOND, Line, instants, place

START = 1_800_000_000_000
LINE = Line("s", "@every 3s", 3 * SECOND)
CRON = Line("c", "*/5 * * * * *", 0)
# Hosts and tasks, each with its line.
PAIRS = {("h1", "a"): LINE, ("h1", "b"): CRON, ("h2", "a"): LINE}
# How long it went; the lines of "a" are others from the middle on.
LONG = 120 * SECOND
MIDDLE = START + LONG // 2
OTHER = Line("s", "@every 7s", 7 * SECOND)


def clean():
    """A history in which all is well."""
    history = History()
    history.tasks = {"a": {"overlap": "skip", "max_attempts": 2}, "b": {"overlap": "skip"}, "mend": {"overlap": "allow"}}
    lines = {pair: frozenset([line]) for pair, line in PAIRS.items()}
    later = {pair: frozenset([OTHER if line is LINE else line]) for pair, line in PAIRS.items()}
    history.changes = [
        Change(START, START + 20, lines),
        Change(MIDDLE, MIDDLE + 20, later),
        Change(START + LONG, START + LONG + 20, {}),
    ]
    history.quiet_until, history.quiet_since = START + LONG // 4, START + LONG * 3 // 4
    for pair, line in PAIRS.items():
        halves = [(line, START, MIDDLE), (OTHER, MIDDLE, START + LONG)] if line is LINE else [(line, START, START + LONG)]
        for line_then, begin, end in halves:
            for at in instants(line_then.cron, begin, end):
                if at + place(*pair, line_then.splay) < end:
                    add(history, pair, line_then, at)
    for pair in PAIRS:
        last = [one for one in history.results if (one["host"], one["task"]) == pair][-1]
        row = {"host": pair[0], "task": pair[1], "outcome": last["outcome"], "state": last["state"]}
        history.statuses.append({**row, "last": [{"id": last["id"]}]})
    return history


def add(history, pair, line, at):
    """A run that went well, with its Result."""
    host, task = pair
    due = at + place(host, task, line.splay)
    run = f"{host}-{task}-{due}"
    result = {"id": run, "host": host, "task": task, "schedule": line.schedule, "trigger": "schedule"}
    result |= {"scheduled_at": at, "due_at": due, "started_at": due + 10, "finished_at": due + 500, "lateness_ms": 10}
    result |= {"outcome": "OK", "state": "OK", "reason": None, "exit_code": 0, "kill": None, "instants": None}
    history.results.append(result)
    history.begins[run] = [Begin(host, task, at, due + 12)]
    history.ends[run] = [End(0, due + 490)]
    return result


def skipped(result):
    """As if nothing had been executed."""
    result |= {"outcome": "SKIPPED", "state": None, "reason": "missed", "started_at": None, "exit_code": None}


def forget(history, run):
    """As if the run had written nothing."""
    del history.begins[run], history.ends[run]


# Each: the kind of fault, and who brings it in. `one` is some Result of h1/b; what belongs to the pair stands still.
def lost(history, one):
    """no result"""
    history.results.remove(one)
    forget(history, one["id"])


def lost_but_run(history, one):
    """run without result"""
    history.results.remove(one)


def doubled(history, one):
    """twice"""
    other = {**one, "id": "other"}
    skipped(other)
    history.results.append(other)


def listed_twice(history, one):
    """twice"""
    history.results.append(one)


def never_due(history, one):
    """not due"""
    add(history, ("h1", "b"), CRON, one["scheduled_at"] + SECOND)


def after_the_change(history, _):
    """not due"""
    add(history, ("h1", "a"), LINE, next(at for at in instants(LINE.cron, MIDDLE + 20_000, MIDDLE + 40_000) if at % 7000))


def shifted(history, _):
    """not due"""
    one = next(one for one in history.results if one["task"] == "a")
    one["due_at"] += 1


def another_instant(history, one):
    """not due"""
    one["scheduled_at"] -= 5 * SECOND
    history.begins[one["id"]][0] = history.begins[one["id"]][0]._replace(scheduled_at=one["scheduled_at"])


def without_end(history, one):
    """false OK"""
    del history.ends[one["id"]]


def ended_badly(history, one):
    """false OK"""
    history.ends[one["id"]] = [End(1, one["finished_at"])]


def another_code(history, one):
    """false verdict"""
    one |= {"outcome": "PROBLEM", "state": "CRITICAL", "reason": "exit_code", "exit_code": 3}


def began_twice(history, one):
    """ran twice"""
    history.begins[one["id"]] *= 2


def ended_twice(history, one):
    """ran twice"""
    history.ends[one["id"]] *= 2


def executed_all_the_same(_, one):
    """executed"""
    skipped(one)


def began_early(history, one):
    """too early"""
    begin = history.begins[one["id"]][0]
    history.begins[one["id"]] = [begin._replace(at=one["due_at"] - SECOND)]


def says_otherwise(history, one):
    """another run"""
    history.begins[one["id"]][0] = history.begins[one["id"]][0]._replace(host="h2")


def still_there(history, one):
    """went on"""
    one |= {"outcome": "PROBLEM", "state": "CRITICAL", "reason": "timeout", "exit_code": None}
    one["kill"] = {"gone": True}
    history.ends[one["id"]] = [End(0, one["finished_at"] + 3 * SECOND)]


def two_at_once(history, one):
    """at once"""
    history.ends[one["id"]] = [End(0, one["finished_at"] + 6 * SECOND)]


def unfinished(history, one):
    """unfinished"""
    history.runs.append({"host": "h1", "task": "b", "id": one["id"], "state": "running"})


def folded_wrongly(history, one):
    """fold"""
    place_of = history.results.index(one)
    second = history.results[place_of + 1]
    for run in (one, second):
        forget(history, run["id"])
    history.results.remove(one)
    skipped(second)
    second["instants"] = {"from": one["scheduled_at"], "until": second["scheduled_at"], "count": 3}


def acknowledged(history, _):
    """no result"""
    history.acknowledged.append(("never-seen", "h1", "a"))


def retry_of_nothing(history, one):
    """retry"""
    history.results.append({**one, "id": "retry", "trigger": "retry", "scheduled_at": one["scheduled_at"] + 1})
    history.ends["retry"] = [End(0, one["finished_at"])]


def too_many_retries(history, _):
    """retry"""
    one = next(one for one in history.results if one["task"] == "a")
    for number in range(2):
        history.results.append({**one, "id": f"retry-{number}", "trigger": "retry"})
        history.ends[f"retry-{number}"] = [End(0, one["finished_at"])]


def another_state(history, _):
    """status"""
    history.statuses[0] |= {"outcome": "PROBLEM", "state": "CRITICAL"}


def not_the_last(history, _):
    """status"""
    history.statuses[0]["last"] = [{"id": history.results[0]["id"]}]


def unknown_last(history, _):
    """status"""
    history.statuses[0]["last"].insert(0, {"id": "nowhere"})


def panicked(history, _):
    """alf"""
    history.faults.append("its log: panicked")


def fired_twice(history, one):
    """fired twice"""
    one |= {"outcome": "PROBLEM"}
    for other in (1, 2):
        fire(history, one, other)


def fired_for_nothing(history, one):
    """fired"""
    fire(history, {**one, "id": "gone"}, 1)


def fired_against_the_trace(history, one):
    """fired"""
    fire(history, one, 1)
    history.traces[one["id"]] = {"at": 1, "why": None, "items": [{"matched": False}]}


def not_fired(history, one):
    """not fired"""
    history.traces[one["id"]] = {"at": 1, "why": None, "items": [{"matched": True}]}


def not_looked_at(history, one):
    """not looked at"""
    history.traces[one["id"]] = {"at": None, "why": "it waits", "items": []}


def fire(history, one, number):
    """As if a Result had led to a run that went well."""
    at, run = one["finished_at"] + number, f"mend-{number}"
    result = {**one, "id": run, "task": "mend", "trigger": "action", "schedule": None, "cause": {"result": one["id"]}}
    result |= {"scheduled_at": at, "due_at": at, "started_at": at, "finished_at": at + 1, "outcome": "OK"}
    history.results.append(result)
    history.begins[run] = [Begin(one["host"], "mend", at, at)]
    history.ends[run] = [End(0, at)]


DOCTORS = (
    lost, lost_but_run, doubled, listed_twice, never_due, after_the_change, shifted, another_instant, without_end,
    ended_badly, another_code, began_twice, ended_twice, executed_all_the_same, began_early, says_otherwise, still_there,
    two_at_once, unfinished, folded_wrongly, acknowledged, retry_of_nothing, too_many_retries, another_state, not_the_last,
    unknown_last, panicked, fired_twice, fired_for_nothing, fired_against_the_trace, not_fired, not_looked_at,
)  # fmt: skip


def harmless(history):
    """What is no fault: a fold, a run that was cut off, one that came while lines were changed, an Action that owes."""
    of_b = [one for one in history.results if one["task"] == "b"]
    first, second, cut = of_b[1], of_b[2], of_b[4]
    for one in (first, second):
        forget(history, one["id"])
    history.results.remove(first)
    skipped(second)
    second["instants"] = {"from": first["scheduled_at"], "until": second["scheduled_at"], "count": 2}
    cut |= {"outcome": "PROBLEM", "state": "UNKNOWN", "reason": "aborted", "started_at": None, "exit_code": None}
    del history.ends[cut["id"]]
    # By the old line, and not too long after the answer.
    add(history, ("h2", "a"), LINE, MIDDLE)
    history.traces[cut["id"]] = {"at": 1, "why": None, "items": [{"matched": True, "held": [{"reason": "host_down"}]}]}


def self_test():
    """What the checker got wrong, as lines; none is well."""
    wrong = [f"in a clean history: {fault}" for fault in check(clean())]
    history = clean()
    harmless(history)
    wrong += [f"in a harmless history: {fault}" for fault in check(history)]
    for doctor in DOCTORS:
        history = copy.deepcopy(clean())
        one = [one for one in history.results if one["task"] == "b"][2]
        doctor(history, one)
        found = {fault.kind for fault in check(history)}
        if doctor.__doc__ not in found:
            wrong.append(f"{doctor.__name__}: \"{doctor.__doc__}\" was not found, but {sorted(found) or 'nothing'}")
    return wrong
