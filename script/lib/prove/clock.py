"""Times: milliseconds since the epoch, as everything here counts them."""

import datetime
import time

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def now():
    """The present."""
    return int(time.time() * 1000)


def parse(text):
    """From RFC 3339."""
    return round((datetime.datetime.fromisoformat(text) - EPOCH) / datetime.timedelta(milliseconds=1))


def show(at):
    """As RFC 3339."""
    return (EPOCH + datetime.timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
