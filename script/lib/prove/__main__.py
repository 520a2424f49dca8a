"""Proves the ledger: a load of random tasks, a nemesis, a checker. See script/prove."""

import argparse
import getpass
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import clock
import processes
import report
from alf import Alf
from checker import check
from definitions import Definitions
from history import History
from load import MEND, Load
from mongodb import Missing, Server, Somebodys
from nemesis import Nemesis
from selftest import DOCTORS, self_test
from sqlite import Sqlite
from sshd import Sshd

# Seconds without a fault, before the first and after the last.
QUIET = 12
CALM = 8
# Seconds until the last run must have ended.
SETTLE = 90


def arguments():
    """What is wanted."""
    parser = argparse.ArgumentParser(prog="script/prove", allow_abbrev=False)
    parser.add_argument("--alf", help=argparse.SUPPRESS)
    parser.add_argument("--store", choices=("sqlite", "mongodb"), default="sqlite", help="where the ledger is kept [sqlite]")
    url = "the store in this server, which is not harmed itself, and left as it was [$ALF_TEST_MONGODB, else one of its own]"
    parser.add_argument("--mongodb", metavar="URL", default=os.environ.get("ALF_TEST_MONGODB"), help=url)
    parser.add_argument("--optional", action="store_true", help="without a server for --store mongodb: 0")
    parser.add_argument("--kills", type=int, default=3, help="go on until there were so many kills -9 of alf [3]")
    parser.add_argument("--seconds", type=int, default=25, help="harm for so long at least [25]")
    parser.add_argument("--seed", type=int, help="the same tasks and faults once more, though never at the same times")
    parser.add_argument("--hosts", type=int, default=3, help="[3]")
    parser.add_argument("--tasks", type=int, default=6, help="[6]")
    parser.add_argument("--self-test", action="store_true", help="only let the checker look for faults brought in")
    parser.add_argument("--keep", action="store_true", help="leave database and logs where there are faults")
    parser.add_argument("--verbose", action="store_true", help="tell everything that was done")
    wanted = parser.parse_args()
    wanted.seed = random.SystemRandom().randrange(1_000_000) if wanted.seed is None else wanted.seed
    return wanted


def say(what):
    """Something on the way."""
    print(f"prove: {what}", file=sys.stderr, flush=True)


def test_checker():
    """First of all the checker itself."""
    wrong = self_test()
    for line in wrong:
        say(f"the checker is wrong: {line}")
    if wrong:
        sys.exit(1)
    say(f"the checker finds each of {len(DOCTORS)} faults that were brought in")


def store_of(wanted, directory, data):
    """Where Alf is to keep the ledger."""
    if wanted.store == "sqlite":
        return Sqlite(data, say)
    return Somebodys(wanted.mongodb) if wanted.mongodb else Server(directory)


def prove(wanted, directory, ending):
    """One proof: all faults, and how they are told."""
    data = os.path.join(directory, "data")
    os.mkdir(data, 0o700)
    store = store_of(wanted, directory, data)
    ending.append(store.end)
    login_key = os.path.join(directory, "login_key")
    key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alf prove", "-f", login_key]
    subprocess.run(key, check=True)
    hosts = [Sshd(directory, f"h{number}", login_key) for number in range(1, wanted.hosts + 1)]
    alf = Alf(wanted.alf, directory, data, 1000, store.settings)
    alf.start()
    load = Load(Definitions(alf), wanted.seed, hosts, wanted.tasks)
    load.define(login_key, getpass.getuser())
    say(f"seed {wanted.seed}: {wanted.tasks} tasks on {wanted.hosts} hosts, on {store.told}; {QUIET} s without a fault")
    time.sleep(QUIET)

    history = History()
    history.quiet_until = clock.now()
    history.tasks = {**load.definitions.nouns["tasks"], MEND: {"overlap": "allow"}}
    say(f"the nemesis: {wanted.seconds} s and {wanted.kills} kills at least")
    nemesis = Nemesis(alf, hosts, load, store, wanted.seed)
    nemesis.run(wanted.seconds, wanted.kills)
    history.quiet_since = clock.now()
    say(f"{CALM} s without a fault")
    time.sleep(CALM)
    load.stop()
    deadline = time.monotonic() + SETTLE
    open_ends = ("/runs", "/notifications?outcome=pending")
    while any(alf.insist("GET", path)[1]["total"] for path in open_ends) and time.monotonic() < deadline:
        time.sleep(0.2)

    history.changes = load.definitions.changes
    history.stops = [(begin, end) for begin, end, what, _ in nemesis.done if what.startswith("SIGSTOP of alf")]
    history.acknowledged = nemesis.changes.acknowledged
    history.read_alf(alf)
    alf.terminate()
    history.faults += alf.faults
    for sshd in hosts:
        history.read_truth(sshd.name, sshd.truth)
    faults = check(history)
    return faults, list(report.told(history, nemesis, faults, wanted.verbose))


def main():
    """To its exit code."""
    wanted = arguments()
    test_checker()
    if wanted.self_test:
        return 0
    for what in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(what, lambda number, _: sys.exit(128 + number))
    processes.adopt_orphans()
    began = time.monotonic()
    directory = tempfile.mkdtemp(prefix="alf-prove.")
    ending = []
    faults = None
    try:
        faults, lines = prove(wanted, directory, ending)
        print("\n".join(lines), flush=True)
    except Missing as missing:
        faults = []
        say(f"left out: {missing}" if wanted.optional else missing)
        return 0 if wanted.optional else 1
    except KeyboardInterrupt:
        return 130
    finally:
        keep = wanted.keep and (faults or faults is None)
        processes.end_all()
        if keep:
            kept = f"{directory}.kept"
            shutil.copytree(directory, kept, ignore=shutil.ignore_patterns("alf", "ballast"))
            say(f"what there was is in {kept}")
        try:
            for end in ending:
                end(keep)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    took = f"seed {wanted.seed}, {time.monotonic() - began:.0f} s"
    say(f"the ledger is not true: {took}" if faults else f"nothing found: {took}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
