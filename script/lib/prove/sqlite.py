"""The store in SQLite: a file on a disk that can be full, which another program can hold."""

import os
import sqlite3

import disk

# Room in the data directory, in MiB.
ROOM = 256


class Sqlite:
    """The file in Alf's data directory."""

    # What Alf is told of it.
    settings = {}
    # Whether Alf may end at its start because of what is done to it: a full disk is not waited for.
    ends_a_start = True

    def __init__(self, data, say):
        self.data = data
        self.told = "SQLite"
        self.disk, why_not = disk.mount(data, ROOM)
        if not self.disk:
            say(f"the disk will not be full: none can be mounted here ({why_not})")
        # What can be done to it; each is given chance, and what lets time go by.
        self.harms = [self.lock] + [self.fill] * bool(self.disk)

    def end(self, _):
        """Leaves nothing."""
        if self.disk:
            self.disk.unmount()

    def lock(self, choose, hold):
        """Another program holds the database, for less or more time than SQLite waits."""
        seconds = choose.choice([1, 3, 8])
        connection = sqlite3.connect(self.database(), timeout=10, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            hold(seconds)
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return "database not to be locked", str(error)
        finally:
            connection.close()
        return "database locked", f"for {seconds} s"

    def database(self):
        """The one file of that kind."""
        return next(os.path.join(self.data, name) for name in os.listdir(self.data) if name.endswith(".db"))

    def fill(self, choose, hold):
        """The disk is full for a while."""
        seconds = choose.choice([1, 3, 6])
        self.disk.fill()
        try:
            hold(seconds)
        finally:
            self.disk.empty()
        return "disk full", f"for {seconds} s"
