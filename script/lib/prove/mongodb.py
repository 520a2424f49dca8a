"""The store in MongoDB: a server of its own that can be killed and paused, or one that somebody else runs."""

import glob
import os
import random
import signal
import socket
import time

import processes
from alf import free_port

# Longest start: on a busy machine, after a kill, with what it has to read again.
START_WITHIN = 90
# How long it is away, in seconds: mostly less than Alf waits for anything, but also longer than it does for an answer to a
# read (10 s), or for a commit (30 s).
AWAY = [0, 0.5, 2] * 4 + [5] * 2 + [12, 35]


class Missing(Exception):
    """There is no server."""


def find():
    """The program that stands in for MongoDB: where PATH leads, or where script/test puts it."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    directories = os.get_exec_path() + glob.glob(f"{cache}/alf/secantus*/bin")
    for name in ("secantusd-rs", "secantusd-py"):
        for directory in directories:
            if os.access(os.path.join(directory, name), os.X_OK):
                return os.path.join(directory, name)
    raise Missing("there is no secantusd-rs and no secantusd-py, and neither --mongodb nor ALF_TEST_MONGODB names a server")


class Somebodys:
    """A server that somebody else runs: nothing is done to it, and nothing stays on it."""

    ends_a_start = False
    harms = ()

    def __init__(self, url):
        try:
            import pymongo
        except ImportError as error:
            raise Missing("pymongo is not there, which removes the database at the end") from error
        self.client = pymongo.MongoClient(url, serverSelectionTimeoutMS=10_000)
        self.database = f"alf-prove-{os.getpid()}-{random.SystemRandom().randrange(1_000_000)}"
        self.told = f"the MongoDB that was named, which is not harmed itself, in its database {self.database}"
        self.settings = settings(url, self.database)

    def end(self, keep):
        """Removes the database."""
        with self.client:
            if not keep:
                self.client.drop_database(self.database)


class Server:
    """SecantusDB, with a directory and a port of its own."""

    # A server that is away is waited for, however long.
    ends_a_start = False

    def __init__(self, directory):
        self.program = find()
        self.directory = os.path.join(directory, "mongodb")
        os.mkdir(self.directory)
        self.port = free_port()
        self.settings = settings(f"mongodb://127.0.0.1:{self.port}/?directConnection=true", "alf")
        self.is_in_rust = os.path.basename(self.program) == "secantusd-rs"
        # Only the one in Rust keeps all that it has answered.
        self.harms = [self.kill, self.pause] if self.is_in_rust else []
        harmed = "" if self.harms else ", which is not harmed itself: it may lose what it has answered"
        self.told = f"MongoDB, for which {os.path.basename(self.program)} stands in{harmed}"
        self.start()

    def start(self):
        """Starts it and waits until it takes connections."""
        command = [self.program, "--host", "127.0.0.1", "--port", str(self.port), "--log-level", "WARNING"]
        command += ["--storage-path", f"{self.directory}/data", "--sync-on-commit", "--cache-size", "256M"]
        if self.is_in_rust:
            # It is made in full at once.
            command += ["--log-file-max", "16MB"]
        log = f"{self.directory}/log"
        self.process = processes.start(command, log, log, cwd=self.directory)
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"{self.program} does not start: see {log}")

    def end(self, _):
        """It has ended with all other processes, and is in the directory that goes."""

    def kill(self, choose, hold):
        """SIGKILL, and a start some time later."""
        seconds = choose.choice(AWAY)
        self.process.kill()
        self.process.wait()
        hold(seconds, self.start)
        return "kill -9 of mongodb", f"away for {seconds} s"

    def pause(self, choose, hold):
        """SIGSTOP, and SIGCONT or SIGKILL."""
        seconds = choose.choice(AWAY) + 0.2
        self.process.send_signal(signal.SIGSTOP)
        if choose.random() < 0.3:
            hold(seconds)
            return "SIGSTOP of mongodb, then kill -9", f"for {seconds} s, {self.kill(choose, hold)[1]}"
        hold(seconds, lambda: self.process.send_signal(signal.SIGCONT))
        return "SIGSTOP of mongodb", f"for {seconds} s"


def settings(url, database):
    """What Alf is told of it."""
    return {"ALF_STORE__KIND": "mongodb", "ALF_STORE__URL": url, "ALF_STORE__DATABASE": database}
