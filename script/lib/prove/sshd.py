"""An sshd of its own for each host."""

import os
import random
import signal
import subprocess
import time

import processes

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {home}/host_key
AuthorizedKeysFile {login_key}.pub
PidFile none
LogLevel INFO
StrictModes no
UsePAM no
UseDNS no
MaxStartups 200
PasswordAuthentication no
PermitRootLogin prohibit-password
# Nothing of the user's own set-up is to have a say.
SetEnv HOME={home}
"""


class Sshd:
    """One host."""

    def __init__(self, directory, name, login_key):
        self.name = name
        self.home = os.path.join(directory, name)
        self.truth = os.path.join(self.home, "truth")
        self.login_key = login_key
        self.process = None
        os.mkdir(self.home)
        open(self.truth, "w").close()
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"{self.home}/host_key"]
        subprocess.run(key, check=True)
        for _ in range(8):
            # Below the range that the system hands out by itself; whether it is free sshd finds out. Not of the seed.
            self.port = random.SystemRandom().randrange(20000, 32000)
            config = CONFIG.format(port=self.port, home=self.home, login_key=login_key)
            with open(f"{self.home}/sshd_config", "w", encoding="utf-8") as file:
                file.write(config)
            if self.start():
                return
        raise RuntimeError(f"sshd does not start: see {self.home}/sshd.err")

    def start(self):
        """Starts it; whether it listens."""
        log = f"{self.home}/sshd.log"
        begin = os.path.getsize(log) if os.path.exists(log) else 0
        command = ["/usr/sbin/sshd", "-D", "-f", f"{self.home}/sshd_config", "-E", log]
        self.process = processes.start(command, f"{self.home}/sshd.out", f"{self.home}/sshd.err")
        for _ in range(400):
            if os.path.exists(log):
                with open(log, "rb") as file:
                    file.seek(begin)
                    if b"Server listening on" in file.read():
                        return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.05)
        return False

    def sessions(self):
        """Its own processes below the one that listens; not what they have started for others."""
        return [pid for pid, name in processes.below(self.process.pid) if name.startswith("sshd")]

    def kill(self, listener):
        """SIGKILL to its sessions, and to what listens where so wanted. What runs for Alf goes on, an orphan."""
        sessions = self.sessions()
        if listener:
            self.process.kill()
            self.process.wait()
        processes.send(sessions, signal.SIGKILL)
        return len(sessions)

    def pause(self):
        """SIGSTOP to all of it; answers what makes it go on."""
        pids = [self.process.pid, *self.sessions()]
        processes.send(pids, signal.SIGSTOP)
        return lambda: processes.send(pids, signal.SIGCONT)
