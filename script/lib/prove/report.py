"""What is told at the end."""

from collections import Counter

import clock

# More of the same kind are counted only.
MOST_TOLD = 10


def percentiles(numbers):
    """The middle, the 99th of 100, the largest."""
    numbers = sorted(numbers)
    if not numbers:
        return "none"
    at = lambda part: numbers[min(len(numbers) - 1, int(len(numbers) * part))]
    return f"p50 {at(0.5)} ms, p99 {at(0.99)} ms, max {numbers[-1]} ms (of {len(numbers)})"


def lateness(results):
    """How late those of a schedule began that did."""
    return percentiles([one["lateness_ms"] for one in results if one["trigger"] == "schedule" and one["started_at"]])


def told(history, nemesis, faults, verbose):
    """The report, as lines."""
    results = history.results
    # A queued run is late because of the one before it.
    queues = {task for task, document in history.tasks.items() if document["overlap"] == "queue"}
    quiet = [one for one in results if one["due_at"] < history.quiet_until and one["task"] not in queues]
    yield f"results    {len(results)}: " + counted(
        f"{one['outcome']}{' ' + one['reason'] if one['reason'] else ''}" for one in results
    )
    yield "triggers   " + counted(one["trigger"] for one in results)
    folds = [one["instants"]["count"] for one in results if one.get("instants")]
    ran = f"{len(history.begins)} began, {len(history.ends)} came to their end"
    yield f"runs       {ran}; {len(folds)} folds of {sum(folds)} instants"
    yield f"lateness   without faults {lateness(quiet)}; in all, queued ones too, {lateness(results)}"
    if nemesis:
        yield f"nemesis    {nemesis.kills} kills -9 of alf; " + counted(what for _, _, what, _ in nemesis.done)
        yield f"changes    {len(history.changes)} of definitions; " + counted(what for _, _, what, _ in nemesis.changes.done)
    if verbose and nemesis:
        for begin, end, what, how in sorted(nemesis.done + nemesis.changes.done):
            yield f"  {clock.show(begin)} to {clock.show(end)}  {what}: {how}"
    if not faults:
        yield "faults     none"
        return
    yield f"faults     {len(faults)}: " + counted(fault.kind for fault in faults)
    for kind in sorted({fault.kind for fault in faults}):
        of_kind = [fault for fault in faults if fault.kind == kind]
        yield from (f"  {fault}" for fault in of_kind[:MOST_TOLD])
        if len(of_kind) > MOST_TOLD:
            yield f"  … and {len(of_kind) - MOST_TOLD} more: {kind}"


def counted(words):
    """How often each comes."""
    return ", ".join(f"{word} {count}" for word, count in sorted(Counter(words).items())) or "none"
