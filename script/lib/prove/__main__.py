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
import disk
import processes
import report
from alf import Alf
from checker import check
from definitions import Definitions
from history import History
from load import MEND, Load
from nemesis import Nemesis
from selftest import DOCTORS, self_test
from sshd import Sshd

# Seconds without a fault, before the first and after the last.
QUIET = 12
CALM = 8
# Seconds until the last run must have ended.
SETTLE = 90
# Room in the data directory, in MiB.
ROOM = 256


def arguments():
    """What is wanted."""
    parser = argparse.ArgumentParser(prog="script/prove", allow_abbrev=False)
    parser.add_argument("--alf", help=argparse.SUPPRESS)
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


def prove(wanted, directory, ending):
    """One proof: all faults, and how they are told."""
    data = os.path.join(directory, "data")
    os.mkdir(data, 0o700)
    own_disk, why_not = disk.mount(data, ROOM)
    if own_disk:
        ending.append(own_disk.unmount)
    else:
        say(f"the disk will not be full: none can be mounted here ({why_not})")
    login_key = os.path.join(directory, "login_key")
    key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "alf prove", "-f", login_key]
    subprocess.run(key, check=True)
    hosts = [Sshd(directory, f"h{number}", login_key) for number in range(1, wanted.hosts + 1)]
    alf = Alf(wanted.alf, directory, data, 1000)
    alf.start()
    load = Load(Definitions(alf), wanted.seed, hosts, wanted.tasks)
    load.define(login_key, getpass.getuser())
    say(f"seed {wanted.seed}: {wanted.tasks} tasks on {wanted.hosts} hosts; {QUIET} s without a fault")
    time.sleep(QUIET)

    history = History()
    history.quiet_until = clock.now()
    history.tasks = {**load.definitions.nouns["tasks"], MEND: {"overlap": "allow"}}
    say(f"the nemesis: {wanted.seconds} s and {wanted.kills} kills at least")
    nemesis = Nemesis(alf, hosts, load, own_disk, wanted.seed)
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
    ending = [processes.end_all]
    faults = None
    try:
        faults, lines = prove(wanted, directory, ending)
        print("\n".join(lines), flush=True)
    except KeyboardInterrupt:
        return 130
    finally:
        if wanted.keep and (faults or faults is None):
            kept = f"{directory}.kept"
            for end in ending[:1]:
                end()
            shutil.copytree(directory, kept, ignore=shutil.ignore_patterns("alf", "ballast"))
            say(f"what there was is in {kept}")
        for end in ending:
            end()
        shutil.rmtree(directory, ignore_errors=True)
    took = f"seed {wanted.seed}, {time.monotonic() - began:.0f} s"
    say(f"the ledger is not true: {took}" if faults else f"nothing found: {took}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
