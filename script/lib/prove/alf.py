"""Alf: the process, and its API."""

import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import time

import processes

# Everything is to happen within seconds here.
SETTINGS = {
    "ALF_SHUTDOWN__GRACE": "2s",
    "ALF_SSH__CONNECT_TIMEOUT": "3s",
    "ALF_SSH__LOGIN_TIMEOUT": "6s",
    "ALF_SSH__KEEPALIVE_INTERVAL": "2s",
    "ALF_SSH__KEEPALIVE_MAX": "2",
}
# Longest start: a busy machine, and a store that is held for some seconds.
START_WITHIN = 90
# Longest end after SIGTERM: the grace, kills with theirs, and a store that is held.
END_WITHIN = 120


class Unreachable(Exception):
    """No answer, or one that says to try again."""


class Refused(Exception):
    """An answer that no trying again will mend."""


class Alf:
    """The service."""

    def __init__(self, program, directory, data, size, settings):
        self.directory, self.data = directory, data
        self.log = os.path.join(directory, "alf.log")
        self.process = None
        self.is_wanted = False
        # What it did that it must not do: end by itself, or end badly.
        self.faults = []
        # A copy of its own: the next build must not replace what runs here.
        self.program = shutil.copy2(program, os.path.join(directory, "alf"))
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("ALF_")}
        self.environment.update(SETTINGS, **settings, ALF_SSH__KNOWN_HOSTS=os.path.join(directory, "known_hosts"), RUST_BACKTRACE="1")
        self.port = free_port()
        self.size = size

    def start(self, excuse=lambda: False):
        """Starts it and waits until it serves; tries again as long as there is an excuse for its not starting."""
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline:
            self.launch()
            if self.serves(deadline):
                return
            code = self.process.wait()
            if not excuse():
                self.faults.append(f"it ended at its start with {code}")
            self.is_wanted = False
            time.sleep(0.5)
        raise RuntimeError("alf does not serve")

    def launch(self):
        """Starts it and waits for nothing."""
        listen = f"127.0.0.1:{self.port}"
        command = [self.program, "serve", "--data-dir", self.data, "--listen", listen, "--node", "prove"]
        self.out = os.path.join(self.directory, "alf.out")
        open(self.out, "w").close()
        self.process = processes.start(command, self.out, self.log, env=self.environment)
        self.is_wanted = True

    def serves(self, deadline):
        """Waits until it serves; false when it has ended instead."""
        while time.monotonic() < deadline:
            with open(self.out, encoding="utf-8") as file:
                if " listening on " in file.read():
                    return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.02)
        raise RuntimeError(f"alf does not serve after {START_WITHIN} s")

    def look(self):
        """Notes it if it has ended by itself; before every signal to it."""
        if self.is_wanted and self.process.poll() is not None:
            self.faults.append(f"it ended by itself with {self.process.returncode}")
            self.is_wanted = False

    def kill(self):
        """SIGKILL."""
        self.look()
        self.is_wanted = False
        self.process.kill()
        self.process.wait()

    def terminate(self, excuse=lambda: False):
        """SIGTERM, and waits for its end; it is to be 0 unless there is an excuse."""
        self.look()
        self.is_wanted = False
        self.process.terminate()
        try:
            code = self.process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self.faults.append(f"it has not ended {END_WITHIN} s after SIGTERM")
            return self.kill()
        if code != 0 and not excuse():
            self.faults.append(f"it ended with {code} after SIGTERM")

    def call(self, method, path, body=None, within=15):
        """One request: the answer's status and document."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within)
        try:
            with open(os.path.join(self.data, "admin.key"), encoding="utf-8") as file:
                headers = {"X-Api-Key": file.read().strip(), "Content-Type": "application/json"}
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/api/v1{path}", body=sent, headers=headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        document = json.loads(text) if text else None
        if answer.status == 500:
            self.faults.append(f"{method} {path} was answered with 500")
        if answer.status in (429, 500, 503):
            raise Unreachable(f"{method} {path}: {answer.status} {document}")
        return answer.status, document

    def insist(self, method, path, body=None, also=(), within=180):
        """A request that may be repeated, until it is answered; `also`: what else than success is an answer."""
        deadline = time.monotonic() + within
        while True:
            try:
                status, document = self.call(method, path, body)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            if status >= 400 and status not in also:
                raise Refused(f"{method} {path}: {status} {document}")
            return status, document

    def all(self, path):
        """All items of a list, from all its pages."""
        items, cursor = [], ""
        while True:
            mark = "&" if "?" in path else "?"
            _, page = self.insist("GET", f"{path}{mark}limit={self.size}{cursor}")
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = f"&cursor={page['next']}"


def free_port():
    """A port that is free now, below the range that the system hands out by itself."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
