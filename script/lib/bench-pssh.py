"""Runs a command over one connection of parallel-ssh and tells what that took. Called by bench-ssh.sh."""

import json
import sys
import time

import gevent
from gevent.pool import Pool
from pssh.clients import SSHClient
from pssh.exceptions import SessionError
from ssh2.exceptions import SSH2Error


def main(port, user, key, _known_hosts, runs, at_once, command):
    counts = {"failed": 0, "refused": 0}
    client = SSHClient("127.0.0.1", user=user, port=int(port), pkey=key, allow_agent=False, identity_auth=False)

    def run(_):
        while True:
            try:
                output = client.run_command(command)
            except (SessionError, SSH2Error):
                # Its sessions are taken for a moment: asked for again, as Alf does.
                counts["refused"] += 1
                gevent.sleep(0.003)
                continue
            client.wait_finished(output)
            counts["failed"] += output.exit_code != 0
            return

    run(0)
    cpu, begun = time.process_time(), time.monotonic()
    for _ in Pool(int(at_once)).imap_unordered(run, range(int(runs))):
        pass
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    print(json.dumps({**counts, "seconds": seconds, "cpu_ms": cpu * 1000}, separators=(",", ":")))


main(*sys.argv[1:])
