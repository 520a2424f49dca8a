"""The load: random tasks on all hosts, whose runs write down themselves that they were."""

import random

# Each is one write of one short line, which no other comes between.
BEGIN = 'say() { printf "%s\\n" "$*" >>"$PROVE_TRUTH"; }\nsay S "$ALF_RUN_ID" "$ALF_TASK" "$ALF_SCHEDULED_AT" "$(date +%s%3N)"\n'
END = 'say E "$ALF_RUN_ID" "$code" "$(date +%s%3N)"\nexit "$code"\n'

# What tasks do: their script, and fields besides.
KINDS = (
    ("quick", "code=0", {}),
    ("long", "sleep {seconds}; code=0", {}),
    ("failing", "code=3", {"max_attempts": 3, "retry_interval": "1s"}),
    ("flaky", "code=$(($(date +%s) / 2 % 2))", {"max_attempts": 2, "retry_interval": "500ms"}),
    ("endless", "sleep 60; code=0", {"timeout": "1500ms", "kill_grace": "1s"}),
    ("long", "sleep {seconds}; code=$(($(date +%s) / 3 % 2))", {"max_attempts": 2, "retry_interval": "1s"}),
)
# Those whose every PROBLEM is followed by a run of MEND.
MENDED = ("failing", "flaky")
MEND = "mend"
SECONDS = ("0.3", "1", "2.5", "4", "6")


class Load:
    """Random definitions."""

    def __init__(self, definitions, seed, hosts, tasks):
        self.definitions = definitions
        self.random = random.Random(seed)
        self.sshd = {sshd.name: sshd for sshd in hosts}
        self.tasks = [f"t{number}" for number in range(1, tasks + 1)]

    def define(self, login_key, user):
        """Hosts first, then each task with its links."""
        define = self.definitions
        define.alf.insist("PUT", "/credentials/login", {"user": user, "key_file": login_key})
        for place, (name, sshd) in enumerate(self.sshd.items()):
            host = {"address": "127.0.0.1", "port": sshd.port, "credential": "login"}
            host |= {"labels": {"role": ("web", "db")[place % 2]}, "env": {"PROVE_TRUTH": sshd.truth}}
            define.put("hosts", name, host)
        # Never changed, so that every PROBLEM has its run.
        define.alf.insist("PUT", f"/tasks/{MEND}", {"command": f"{BEGIN}code=0\n{END}", "overlap": "allow"})
        when = {"on": "result", "outcome": "PROBLEM", "task_selector": "mend=yes"}
        define.alf.insist("PUT", "/actions/repair", {"when": when, "then": {"run": MEND}})
        for task in self.tasks:
            self.create(task)

    def cron(self):
        """A line that is due every few seconds."""
        choose = self.random
        every = f"@every {choose.randint(1, 5)}s"
        steps = f"*/{choose.randint(2, 5)} * * * * *"
        listed = ",".join(str(second) for second in sorted(choose.sample(range(60), 20))) + " * * * * *"
        ranges = f"{choose.randint(0, 9)}-59/{choose.randint(2, 6)} */2 * * * *"
        return choose.choice([every, every, steps, listed, ranges])

    def schedule(self):
        """A schedule with rules of its own."""
        choose = self.random
        schedule = {"cron": self.cron(), "missed": choose.choice(["skip", "last", "all"])}
        schedule["missed_max_age"] = choose.choice(["2s", "6s", "10m", "10m"])
        if not schedule["cron"].startswith("@") and choose.random() < 0.4:
            schedule["splay"] = choose.choice(["1s", "2s"])
        return schedule

    def create(self, task):
        """A task with its schedule and its links; what it does is by its number, the rest by chance."""
        choose, define = self.random, self.definitions
        kind, script, fields = KINDS[self.tasks.index(task) % len(KINDS)]
        command = BEGIN + script.format(seconds=choose.choice(SECONDS)) + "\n" + END
        document = {"command": command, "title": kind, "labels": {"mend": "yes" if kind in MENDED else "no"}, **fields}
        document["overlap"] = choose.choice(["skip", "queue", "allow"])
        document["start_within"] = choose.choice(["3s", "10s", "10m"])
        define.put("tasks", task, document)
        define.put("schedules", f"s-{task}", self.schedule())
        self.link(task)
        if choose.random() < 0.3:
            define.put("task-schedules", f"inline-{task}", {"task": task, "cron": self.cron()})
        define.put("task-schedules", f"{task}@s-{task}", {"task": task, "schedule": f"s-{task}"})

    def link(self, task):
        """The hosts of a task: by name, by selector, or by both."""
        choose, define = self.random, self.definitions
        names = list(self.sshd)
        how = choose.choice(["all", "all", "some", "named", "all but one"])
        if how == "named":
            for host in choose.sample(names, max(1, len(names) - 1)):
                define.put("host-tasks", f"{task}@{host}", {"task": task, "host": host})
            return
        selector = "role=" + choose.choice(["web", "db"]) if how == "some" else "*"
        define.put("host-tasks", f"{task}-selected", {"task": task, "selector": selector})
        if how == "all but one":
            host = choose.choice(names)
            define.put("host-tasks", f"{task}@{host}", {"task": task, "host": host, "enabled": False})

    def links(self, task):
        """The links of a task to its hosts."""
        links = self.definitions.nouns["host-tasks"]
        return [name for name, link in links.items() if link["task"] == task]

    def stop(self):
        """Nothing is due any more, and nothing tried again."""
        for task in list(self.definitions.nouns["tasks"]):
            self.definitions.patch("tasks", task, enabled=False)
