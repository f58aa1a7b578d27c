"""Searches the logs of a world for every secret that was used in it.

Each process of a test run searches its world's logs at the end (`conftest.py`); `test_secrets.py` searches them in
between.
"""

import re

from connector.login import sha512_hex, uci_token
from simulator.people import APP_SECRET, PEOPLE
from simulator.starface.model import CLIENT_SECRET
from tests.support.probe_peer import peer
from tests.support.world import ANNA, World
from wire.pbxkey import digest, parse_key


async def what_a_probe_knows(world: World) -> dict[str, str]:
    """Pair a probe and let it connect, so that code and token have passed through the service."""
    anna = world.client(ANNA)
    answer = await anna.sign_in(world.pbx_name, world.key)
    assert answer.status == 200, answer.body
    code = (await anna.call("POST", "audio/pairing")).body["code"]
    async with peer(world) as probe:
        token = (await probe.pair(code))["result"]["token"]
        await probe.call("probe.hello", token=token, version="1")
        await probe.call("probe.hello", token=token[:-1], version="1")
    await anna.call("DELETE", "audio")
    return {"a pairing code": code, "the token of a probe": token[:-1]}


async def check_logs(world: World) -> None:
    """Raise AssertionError if a secret is in a log."""
    demo = world.demo
    secrets = {
        "the PBX key": world.key,
        "the PBX key without hyphens": world.key.replace("-", ""),
        "the digest of the PBX key": digest(parse_key(world.key)),
        "the pepper": (demo.state / "pepper").read_text(),
        "the bot's client secret": APP_SECRET,
        "the PBX's client secret": CLIENT_SECRET,
        "the connector's password": "foobar",
        "the connector's UCI token": uci_token("0001", "foobar").split(":")[1],
        "a licence key": re.search(r'keys = \["([^"]+)"', demo.connector_configuration.read_text())[1],
    }
    secrets |= await what_a_probe_knows(world)
    for person in PEOPLE:
        secrets[f"the UCI token of {person.name}"] = uci_token(person.login, person.password).split(":")[1]
        secrets[f"the password of {person.name}"] = person.password
        secrets[f"the hash of the password of {person.name}"] = sha512_hex(person.password)
    patterns = {
        "a JWT": re.compile(r"eyJ[\w-]{10,}\.[\w-]{10,}"),
        "a login secret": re.compile(r"\b\d{4}:[0-9a-f]{128}\b"),
        "an authToken": re.compile(r"\b[0-9a-f]{40}\b"),
        "a bearer header": re.compile(r"(?i)bearer [\w.-]{20,}"),
    }
    logs = {path.name: path.read_text(errors="replace") for path in demo.state.glob("*.log")}
    assert len(logs["service.log"].splitlines()) > 3 and "link open" in logs["connector.log"]
    for name, text in logs.items():
        for what, secret in secrets.items():
            assert secret not in text, f"{what} is in {name}"
        for what, pattern in patterns.items():
            found = pattern.search(text)
            assert found is None, f"{what} is in {name}: {found}"
