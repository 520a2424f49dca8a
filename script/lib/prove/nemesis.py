"""The nemesis: three hands that do harm at random, one to Alf, one to what it stands on, one to its definitions."""

import random
import signal
import threading
import time
import traceback

import clock
from changes import Changes


class Nemesis:
    """Does harm until it is told to stop; what it has broken is whole then."""

    def __init__(self, alf, hosts, load, store, seed):
        self.alf, self.hosts, self.store = alf, hosts, store
        self.changes = Changes(load)
        self.kills = 0
        # What was done: (from, until, what, in which way).
        self.done = []
        self.failed = None
        # Whether the store is held now: a start or an end of Alf may fail for its sake.
        self.store_held = False
        self.store_free_at = 0
        self.over = threading.Event()
        hands = (self.harm_alf, 0.3, 2.5), (self.harm_world, 0.2, 1.5), (self.harm_definitions, 0.1, 2)
        self.hands = [
            threading.Thread(target=self.hand, args=(*hand, random.Random(f"{seed} {hand[0].__name__}")), daemon=True)
            for hand in hands
        ]

    def run(self, seconds, kills):
        """Goes on for so many seconds, and until there were so many kills of Alf."""
        end = time.monotonic() + seconds
        for hand in self.hands:
            hand.start()
        while not self.failed and (time.monotonic() < end or self.kills < kills):
            time.sleep(0.1)
        self.over.set()
        for hand in self.hands:
            hand.join()
        if self.failed:
            raise RuntimeError(f"the nemesis failed:\n{self.failed}")

    def hand(self, harm, shortest, longest, choose):
        """One thing after the other."""
        try:
            while not self.over.wait(choose.uniform(shortest, longest)):
                harm(choose)
        except Exception:
            self.failed = traceback.format_exc()

    def note(self, begin, what, how):
        """Something was done, and is over."""
        self.done.append((begin, clock.now(), what, how))

    # === Alf ===

    def excuse(self):
        """Whether the store is, or was a moment ago, away, held or without room."""
        return self.store_held or clock.now() < self.store_free_at + 10_000

    def excuse_of_a_start(self):
        """Whether it is so that a start cannot wait for it."""
        return self.store.ends_a_start and self.excuse()

    def harm_alf(self, choose):
        """A kill mostly."""
        what = choose.choice([self.kill] * 5 + [self.kill_at_start] * 2 + [self.terminate] * 2 + [self.stop_alf] * 3)
        begin = clock.now()
        self.note(begin, *what(choose))

    def away(self, choose):
        """How long Alf is away, in seconds."""
        return choose.choice([0, 0, 0.5, 1, 2.5, 5])

    def kill(self, choose):
        """SIGKILL, and a start some time later."""
        away = self.away(choose)
        self.alf.kill()
        self.kills += 1
        time.sleep(away)
        self.alf.start(self.excuse_of_a_start)
        return "kill -9 of alf", f"away for {away} s"

    def kill_at_start(self, choose):
        """SIGKILL, and again while it starts."""
        self.alf.kill()
        self.alf.launch()
        after = choose.uniform(0, 1)
        time.sleep(after)
        if self.alf.process.poll() is not None and self.excuse_of_a_start():
            self.alf.is_wanted = False
        self.alf.kill()
        self.kills += 2
        self.alf.start(self.excuse_of_a_start)
        return "kill -9 of alf, and again", f"{after:.2f} s after its start"

    def terminate(self, choose):
        """SIGTERM, and a start some time later."""
        away = self.away(choose)
        self.alf.terminate(self.excuse)
        time.sleep(away)
        self.alf.start(self.excuse_of_a_start)
        return "SIGTERM to alf", f"away for {away} s"

    def stop_alf(self, choose):
        """SIGSTOP, and SIGCONT or SIGKILL."""
        seconds = choose.uniform(0.5, 5)
        self.alf.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        if choose.random() < 0.3:
            return "SIGSTOP of alf, then kill -9", f"for {seconds:.1f} s, {self.kill(choose)[1]}"
        self.alf.process.send_signal(signal.SIGCONT)
        return "SIGSTOP of alf", f"for {seconds:.1f} s"

    # === what it stands on ===

    def harm_world(self, choose):
        """One host, or the store."""
        kinds = [self.kill_sshd] * 3 + [self.stop_sshd] * 3 + [self.harm_store] * 2 * len(self.store.harms)
        begin = clock.now()
        self.note(begin, *choose.choice(kinds)(choose))

    def kill_sshd(self, choose):
        """SIGKILL to its sessions, or to all of it."""
        sshd = choose.choice(self.hosts)
        listener = choose.random() < 0.7
        sessions = sshd.kill(listener)
        if not listener:
            return "kill -9 of sshd's sessions", f"{sessions} of {sshd.name}"
        away = choose.choice([0, 0.5, 2, 4])
        time.sleep(away)
        for _ in range(10):
            if sshd.start():
                return "kill -9 of sshd", f"{sshd.name} and {sessions} sessions, away for {away} s"
            time.sleep(0.5)
        raise RuntimeError(f"sshd of {sshd.name} does not start again: see {sshd.home}/sshd.err")

    def stop_sshd(self, choose):
        """SIGSTOP, and SIGCONT before or after Alf takes the connection for lost."""
        sshd = choose.choice(self.hosts)
        seconds = choose.choice([1, 3, 9])
        go_on = sshd.pause()
        time.sleep(seconds)
        go_on()
        return "SIGSTOP of sshd", f"{sshd.name} for {seconds} s"

    def harm_store(self, choose):
        """One of the harms that can be done to it."""
        return choose.choice(self.store.harms)(choose, self.hold)

    def hold(self, seconds, mend=lambda: None):
        """Lets some time go by in which the store cannot be written, and has it mended."""
        self.store_held = True
        try:
            self.over.wait(seconds)
            mend()
        finally:
            self.store_held = False
            self.store_free_at = clock.now()

    # === the definitions ===

    def harm_definitions(self, choose):
        """A change, or a person's run."""
        self.changes.change(choose)
