"""What script/fuzz-api keeps schemathesis from: hosts elsewhere than on loopback."""

import schemathesis

# Nobody listens there.
NOWHERE = {"address": "127.0.0.1", "port": 9, "jump": None}


def tame(host):
    if isinstance(host, dict):
        host.update({name: value for name, value in NOWHERE.items() if name == "address" or name in host})


@schemathesis.hook
def before_call(ctx, case, kwargs):
    body = case.body
    path = case.operation.path
    if path.startswith("/api/v1/hosts") and not path.endswith(("/run", "/exec", "/trust", "/doctor", "/forget-key")):
        tame(body)
    elif path == "/api/v1/apply" and isinstance(body, dict) and isinstance(body.get("hosts"), list):
        for host in body["hosts"]:
            tame(host)
