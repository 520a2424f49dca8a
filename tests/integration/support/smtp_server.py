"""An SMTP server for tests: smtp_server.py DIR MODE [CERTIFICATE KEY], with MODE plain, starttls or implicit.

Keeps each message as DIR/N.json and writes its port to DIR/port. The user alf with the password "pass w0rd" may log in, nobody
else. For gone@... it has no mailbox, later@... is to be tried again.
"""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, mode, *files = sys.argv[1:]
messages = 0


def put(name, text):
    path = os.path.join(folder, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("later@"):
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global messages
        put(
            f"{messages}.json",
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "content": envelope.content.decode("latin-1"),
                    "tls": server.transport.get_extra_info("ssl_object") is not None,
                    "authenticated": bool(session.authenticated),
                }
            ),
        )
        messages += 1
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = (b"alf", b"pass w0rd")
    return AuthResult(success=(getattr(data, "login", None), getattr(data, "password", None)) == known, handled=False)


async def main():
    context = None
    if files:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*files)
    starttls = mode == "starttls"

    def smtp():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate,
            auth_require_tls=starttls,
        )

    server = await asyncio.get_running_loop().create_server(
        smtp, "127.0.0.1", 0, ssl=context if mode == "implicit" else None
    )
    put("port", str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


asyncio.run(main())
