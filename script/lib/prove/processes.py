"""Processes: whatever is started here, by whom it may be, stays below this one and is ended with it."""

import ctypes
import os
import signal
import subprocess
import threading
import time

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Those whose parent ends become children of this process, not of init: so they are found, and reaped."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    threading.Thread(target=_reap_for_ever, daemon=True).start()


_started = set()


def start(command, out, err, **kwargs):
    """Starts a program in a session of its own, so that Ctrl-C reaches this one alone."""
    with open(out, "ab") as stdout, open(err, "ab") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True, **kwargs
        )
    _started.add(process.pid)
    return process


def _table():
    """Every process: its number, to (parent, name, state)."""
    table = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    stat = file.read()
            except OSError:
                continue
            name = stat[stat.index("(") + 1 : stat.rindex(")")]
            state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
            table[int(entry)] = (int(parent), name, state)
    return table


def below(pid):
    """All processes below one, as (number, name); those that have ended left out."""
    table = _table()
    found, parents = [], {pid}
    while parents:
        parents = {child for child, (parent, _, _) in table.items() if parent in parents}
        found += [(child, table[child][1]) for child in parents if table[child][2] != "Z"]
    return found


def send(pids, what):
    """A signal to each that is still there."""
    for pid in pids:
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass


def _reap_for_ever():
    """An orphan that has ended must not seem to be there still. Those started here are waited for by who did it."""
    while True:
        for pid, (parent, _, state) in _table().items():
            if parent == os.getpid() and state == "Z" and pid not in _started:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except ChildProcessError:
                    pass
        time.sleep(0.2)


def end_all():
    """Ends whatever is left below this process."""
    for _ in range(100):
        left = [pid for pid, _ in below(os.getpid())]
        if not left:
            return
        send(left, signal.SIGKILL)
        # One that was stopped does not die before it goes on.
        send(left, signal.SIGCONT)
        time.sleep(0.05)
