"""The definitions, as they were told to Alf, with the times of each change: from them follows what was due when."""

from typing import NamedTuple

import clock
from instants import SECOND, Line, interval


class Change(NamedTuple):
    """What is due since a change that came into force at some moment between these two."""

    sent: int
    answered: int
    # (host, task) to its lines.
    lines: dict


class Definitions:
    """Everything defined, and every change of it."""

    def __init__(self, alf):
        self.alf = alf
        self.nouns = {noun: {} for noun in ("hosts", "tasks", "schedules", "host-tasks", "task-schedules")}
        self.changes = []

    def put(self, noun, name, document):
        """Creates or replaces one. A request whose answer is lost is sent again: done twice it is the same."""
        sent = clock.now()
        self.alf.insist("PUT", f"/{noun}/{name}", document)
        self.nouns[noun][name] = document
        self._changed(sent)

    def patch(self, noun, name, **fields):
        """Changes some fields of one."""
        sent = clock.now()
        self.alf.insist("PATCH", f"/{noun}/{name}", fields)
        self.nouns[noun][name] = {**self.nouns[noun][name], **fields}
        self._changed(sent)

    def delete(self, noun, name):
        """Deletes one, with the links that name it. Where the first answer was lost it is not there any more."""
        sent = clock.now()
        self.alf.insist("DELETE", f"/{noun}/{name}?cascade=true", also=(404,))
        gone = self.nouns[noun].pop(name)
        if noun == "tasks":
            for links in ("host-tasks", "task-schedules"):
                kept = {link: document for link, document in self.nouns[links].items() if document["task"] != name}
                self.nouns[links] = kept
        self._changed(sent)
        return gone

    def _changed(self, sent):
        self.changes.append(Change(sent, clock.now(), self._lines()))

    def _lines(self):
        """When each pair is due, as CONTRACT and README say it."""
        lines = {}
        for host, document in self.nouns["hosts"].items():
            for task in self._tasks_of(host, document):
                if document.get("enabled", True) and self.nouns["tasks"][task].get("enabled", True):
                    lines[host, task] = frozenset(self._lines_of(task))
        return lines

    def _tasks_of(self, host, document):
        """The tasks of a host: a link that names it beats those that select it, of which the first by name counts."""
        chosen = {}
        for name in sorted(self.nouns["host-tasks"]):
            link = self.nouns["host-tasks"][name]
            named = "host" in link
            if link["host"] == host if named else link.get("enabled", True) and selects(link["selector"], document):
                before = chosen.get(link["task"])
                if before is None or named and "host" not in before:
                    chosen[link["task"]] = link
        return [task for task, link in chosen.items() if link.get("enabled", True)]

    def _lines_of(self, task):
        for name, link in self.nouns["task-schedules"].items():
            if link["task"] != task or not link.get("enabled", True):
                continue
            schedule = self.nouns["schedules"][link["schedule"]] if "schedule" in link else link
            if not schedule.get("enabled", True):
                continue
            splay = schedule.get("splay")
            over = int(splay.removesuffix("s")) * SECOND if splay else interval(schedule["cron"]) or 0
            yield Line(link.get("schedule", name), schedule["cron"], over)


def selects(selector, host):
    """Whether a selector is for a host: of their language only what the load uses."""
    if selector == "*":
        return True
    key, _, value = selector.partition("=")
    return host["labels"].get(key) == value
