"""Changes of the definitions while Alf is at work, and runs that a person asks for."""

import time

import clock
from alf import Unreachable


class Changes:
    """One who changes things at random."""

    def __init__(self, load):
        self.load = load
        self.definitions = load.definitions
        # Runs that were answered with their id: (id, host, task).
        self.acknowledged = []
        # What was done: (from, until, what, to which task).
        self.done = []

    def change(self, choose):
        """Does one thing or another."""
        task = choose.choice(self.load.tasks)
        kinds = [self.another_line, self.pause_task, self.pause_schedule, self.another_task, self.unlink, self.relabel]
        # What changes nothing of when something is due, and so must not: as often as all others.
        harmless = [self.another_title, self.another_title, self.run_now, self.run_now, self.run_now]
        kind = choose.choice(kinds + harmless)
        begin = clock.now()
        kind(task, choose)
        self.done.append((begin, clock.now(), kind.__name__.replace("_", " "), task))

    def another_line(self, task, _):
        """The schedule becomes another one."""
        self.definitions.put("schedules", f"s-{task}", self.load.schedule())

    def pause_task(self, task, choose):
        """Disabled for a while."""
        self.definitions.patch("tasks", task, enabled=False)
        time.sleep(choose.uniform(0.1, 3))
        self.definitions.patch("tasks", task, enabled=True)

    def pause_schedule(self, task, choose):
        """Disabled for a while."""
        self.definitions.patch("schedules", f"s-{task}", enabled=False)
        time.sleep(choose.uniform(0.1, 3))
        self.definitions.patch("schedules", f"s-{task}", enabled=True)

    def another_task(self, task, choose):
        """Deleted with its links, and created anew, sometimes at once."""
        self.definitions.delete("tasks", task)
        time.sleep(choose.choice([0, 0, 1, 3]))
        self.load.create(task)

    def unlink(self, task, choose):
        """Taken from its hosts, and given to others or the same."""
        for link in self.load.links(task):
            self.definitions.delete("host-tasks", link)
        time.sleep(choose.choice([0, 0, 1, 3]))
        self.load.link(task)

    def relabel(self, _, choose):
        """A host has another role: selectors follow."""
        host = choose.choice(list(self.load.sshd))
        role = {"web": "db", "db": "web"}[self.definitions.nouns["hosts"][host]["labels"]["role"]]
        self.definitions.patch("hosts", host, labels={"role": role})

    def another_title(self, task, choose):
        """Text for people, which changes nothing of when something is due."""
        noun, name = choose.choice([("tasks", task), ("schedules", f"s-{task}"), ("task-schedules", f"{task}@s-{task}")])
        self.definitions.patch(noun, name, description=f"changed at {clock.now()}")

    def run_now(self, task, choose):
        """A person's run: once it is answered it leaves its Result."""
        host = choose.choice(list(self.load.sshd))
        try:
            status, document = self.definitions.alf.call("POST", f"/hosts/{host}/tasks/{task}/run")
        except Unreachable:
            return
        if status == 202:
            self.acknowledged.append((document["run"], host, task))
