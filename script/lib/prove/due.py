"""What was due: every instant of every pair, and whether it had to come or may have."""

from typing import NamedTuple

from instants import instants, place

# A change is in force so long after its answer at the latest. CONTRACT says a second; the other one is for the machine.
IN_FORCE_WITHIN = 2000
# The times of two who look at the same clock one after the other.
BLINK = 5


class Span(NamedTuple):
    """The same lines, from a moment between two on to a moment between two (none: to the end)."""

    lines: frozenset
    begin: tuple
    end: tuple


class Due:
    """Something that was due; several lines may be at the same moment."""

    def __init__(self):
        # The instants of its lines.
        self.at = set()
        self.must = False


def in_force(answered, stops):
    """When a change is in force at the latest: not while Alf is stopped."""
    at = answered + IN_FORCE_WITHIN
    for begin, end in sorted(stops):
        if begin - BLINK <= at and end >= answered:
            at = max(at, end + IN_FORCE_WITHIN)
    return at


def spans(changes, pair):
    """The spans of a pair. A change that leaves its lines as they are is none."""
    found = []
    for change in changes:
        lines = change.lines.get(pair, frozenset())
        if found and found[-1].lines == lines:
            continue
        if found:
            found[-1] = found[-1]._replace(end=(change.sent, change.answered))
        found.append(Span(lines, (change.sent, change.answered), None))
    return found


def due(changes, pair, until, stops):
    """All that was due for a pair: when, to what."""
    table = {}
    for lines, (sent, answered), end in spans(changes, pair):
        since = in_force(answered, stops)
        last_must = end[0] - BLINK if end else until
        last = in_force(end[1], stops) if end else until
        for line in lines:
            later = place(*pair, line.splay)
            for at in instants(line.cron, sent - BLINK, last):
                if at + later > last:
                    break
                one = table.setdefault(at + later, Due())
                one.at.add(at)
                one.must |= at > since and at + later < last_must
    return table
