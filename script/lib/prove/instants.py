"""When a line is due, reckoned once more and apart from Alf: of crontab(5) only what the load uses, in UTC."""

import hashlib
from typing import NamedTuple

SECOND = 1000


class Line(NamedTuple):
    """A line by which a pair is due. All times are milliseconds since the epoch."""

    schedule: str
    cron: str
    # Each pair has its own place within so long after the line's instant.
    splay: int


def interval(cron):
    """The interval of an `@every` line of whole seconds; None for lines that name times."""
    word, _, rest = cron.partition(" ")
    return int(rest.removesuffix("s")) * SECOND if word == "@every" else None


def _field(text, end):
    """The numbers that a field of a line stands for, of those below `end`."""
    numbers = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = ("0", "-", str(end - 1)) if span == "*" else span.partition("-")
        numbers.update(range(int(first), int(last or first) + 1, int(step or 1)))
    return numbers


def instants(cron, after, until):
    """The instants of a line with after < instant <= until, in order."""
    every = interval(cron)
    if every:
        return list(range((after // every + 1) * every, until + 1, every))
    second, minute, *rest = cron.split(" ")
    if rest != ["*"] * 4:
        raise ValueError(f"this line is not reckoned here: {cron}")
    seconds, minutes = _field(second, 60), _field(minute, 60)
    whole = range((after // SECOND + 1) * SECOND, until + 1, SECOND)
    return [at for at in whole if at // SECOND % 60 in seconds and at // SECOND // 60 % 60 in minutes]


def place(host, task, splay):
    """How far a pair starts after the instants of a line with this splay: a digest of its names spreads the pairs."""
    digest = hashlib.sha256(f"{host}\0{task}".encode()).digest()
    return splay * int.from_bytes(digest[:8], "big") >> 64
