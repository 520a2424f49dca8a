"""Runs a command over one connection of asyncssh and tells what that took. Called by bench-ssh.sh."""

import asyncio
import json
import sys
import time

import asyncssh


async def main(port, user, key, known_hosts, runs, at_once, command):
    refused = failed = 0
    async with asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=known_hosts, config=None
    ) as connection:

        async def run():
            nonlocal refused, failed
            while True:
                try:
                    done = await connection.run(command)
                except asyncssh.ChannelOpenError:
                    # Its sessions are taken for a moment: asked for again, as Alf does.
                    refused += 1
                    await asyncio.sleep(0.003)
                    continue
                failed += done.exit_status != 0
                return

        left = int(runs)

        async def worker():
            nonlocal left
            while left > 0:
                left -= 1
                await run()

        await run()
        cpu, begun = time.process_time(), time.monotonic()
        await asyncio.gather(*(worker() for _ in range(int(at_once))))
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    print(json.dumps({"failed": failed, "refused": refused, "seconds": seconds, "cpu_ms": cpu * 1000},
                     separators=(",", ":")))


asyncio.run(main(*sys.argv[1:]))
