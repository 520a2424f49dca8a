"""What has been: what was defined, what Alf says, and what the runs themselves have written down."""

import glob
import os
from typing import NamedTuple

import clock


class Begin(NamedTuple):
    """A run that began, by its own word."""

    host: str
    task: str
    scheduled_at: int
    at: int


class End(NamedTuple):
    """The end that a run came to, by its own word."""

    code: int
    at: int


class History:
    """All there is to be judged."""

    def __init__(self):
        # What was due when.
        self.changes = []
        # Alf's documents.
        self.results = []
        self.runs = []
        self.statuses = []
        # What Actions came to for each PROBLEM that may be followed by something: id to its trace.
        self.traces = {}
        # As they were while there was no fault; how many attempts they have never changes.
        self.tasks = {}
        # Runs that were asked for and acknowledged: (id, host, task).
        self.acknowledged = []
        # What the runs wrote: id to all its beginnings, to all its ends.
        self.begins = {}
        self.ends = {}
        # For so long in the beginning there was no fault at all; from then on until the end there was none either.
        self.quiet_until = 0
        self.quiet_since = 0
        # SIGSTOPs of Alf, in which nothing comes into force: (from, until).
        self.stops = []
        # What Alf did, or its log says, that it must not.
        self.faults = []

    def read_truth(self, host, file):
        """What the runs on a host wrote."""
        with open(file, encoding="utf-8") as lines:
            for line in lines:
                what, run, *rest = line.split()
                if what == "S":
                    task, scheduled_at, at = rest
                    begin = Begin(host, task, clock.parse(scheduled_at), int(at))
                    self.begins.setdefault(run, []).append(begin)
                else:
                    code, at = rest
                    self.ends.setdefault(run, []).append(End(int(code), int(at)))

    def read_alf(self, alf):
        """What Alf says."""
        self.results = [read_times(result) for result in alf.all("/results")]
        self.runs = alf.all("/runs")
        self.statuses = alf.all("/status?n=20")
        mended = {task for task, document in self.tasks.items() if document.get("labels", {}).get("mend") == "yes"}
        for result in self.results:
            if result["outcome"] == "PROBLEM" and result["reason"] != "aborted" and result["task"] in mended:
                self.traces[result["id"]] = alf.insist("GET", f"/results/{result['id']}/trace")[1]
        self.faults += alf.faults
        for log in glob.glob(os.path.join(alf.directory, "alf.log*")):
            with open(log, encoding="utf-8", errors="replace") as lines:
                self.faults += [f"its log: {line.strip()[:300]}" for line in lines if is_bad(line)]


def is_bad(line):
    """Whether a line of Alf's log tells of what must not be. At an end with a store that is away a result is lost, but its
    run is open in the ledger: the next start records it."""
    return "panicked" in line or ("is lost" in line and "Alf ended before it was written" not in line)


def read_times(result):
    """A Result with its times as numbers."""
    for field in ("scheduled_at", "due_at", "started_at", "finished_at"):
        result[field] = result[field] and clock.parse(result[field])
    if result.get("instants"):
        result["instants"] = {**result["instants"], **{end: clock.parse(result["instants"][end]) for end in ("from", "until")}}
    return result
