"""The attackers of `python -m bench attack`: `python -m bench.strangers TARGET`, until standard input closes.

TARGET is JSON: `service`, `entra` and `channel` (addresses), `enrolmentCodes` and `identities` of the attackers' own
connectors, by name (private keys in hexadecimal). Prints a line when the attack has begun, and at its end one with what
was sent, as JSON. Every rate is limited, all traffic goes to loopback, and the process has low priority, because a real
attacker does not use the service's own CPU.
"""

import asyncio
import contextlib
import itertools
import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from simulator.people import APP_ID, PBX_NAME, PEOPLE, TENANT_ID, Person
from wire.link import SUBPROTOCOL, Hello, RestState, Status, UciState, sealing_key_bytes
from wire.pbxkey import digest, new_key
from wire.sealing import b64url, public_bytes

OWN_PBX: Final = "pbx.strangers.example"
"""Answers every request with nonsense."""
FLOODING_PBX: Final = "flood.strangers.example"
"""Reports without end, and is cut for it."""
OWN_TENANT: Final = "99999999-9999-4999-8999-999999999999"
STATUS_PER_SECOND: Final = 400
FAULTS: Final = "faults of the service"
"""What the counts of answers begin with that no stranger should be able to cause."""
FLOOD_ADDRESS, KNOCK_ADDRESS = "127.0.0.62", "127.0.0.61"
"""Each has budgets of its own, so that the one attack does not end the other."""
OF_OWN_PBX: Final = ("link-down", "protocol-error", "outcome-unknown", "pbx-busy")
BOSSES_AT_ONCE: Final = 3
"""An answer that cannot be read lets them wait until the call's deadline."""
MAX_SECONDS: Final = 120.0
NICENESS: Final = 10

BOSS: Final = Person(
    name="operator",
    object_id="66666666-6666-4666-8666-666666666666",
    email="boss@strangers.example",
    login="1",
    password="x",
    role="",
)
GUEST: Final = Person(
    name="Clara Vogt",
    object_id="77777777-7777-4777-8777-777777777777",
    email=PEOPLE[2].email,
    login="1",
    password="x",
    role="",
)

HOSTILE_NUMBERS: Final = (2**70, -1, 2**53, 10**400, 1.5, "1", None, True)
HOSTILE_TEXTS: Final = (
    "\ud800",
    "a\x00b",
    "\u202egnp.exe",
    "=1+1;x",
    "[x](http://evil.example)",
    "n" * 5000,
    "",
)


def token_claims(entra_port: int, tenant_id: str, person: Person, **more: Any) -> dict[str, Any]:
    """Return the claims that Entra puts into the tab's token for a member of a tenant; `more` overrides and adds."""
    now = int(time.time())
    return {
        "aud": APP_ID,
        "iss": f"https://127.0.0.1:{entra_port}/{tenant_id}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "acct": 0,
        "azp": "1fec8e78-bce4-4aaf-ab1b-5451cc387264",
        "name": person.name,
        "oid": person.object_id,
        "preferred_username": person.email,
        "email": person.email,
        "scp": "access_as_user",
        "tid": tenant_id,
        "ver": "2.0",
        **more,
    }


class Strangers:
    def __init__(self, http: aiohttp.ClientSession, target: dict[str, Any]) -> None:
        self._http = http
        self._service = target["service"]
        self._entra = target["entra"]
        self._channel = target["channel"]
        self._enrolment_codes: dict[str, str] = target["enrolmentCodes"]
        self._identities = {
            name: Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
            for name, seed in target["identities"].items()
        }
        self._key = new_key()
        self.sent: Counter[str] = Counter()

    async def attack(self) -> None:
        """Run all attacks in parallel until cancelled."""
        guest = await self._token(TENANT_ID, GUEST, acct=1, idp=f"https://sts.windows.net/{OWN_TENANT}/")
        boss = await self._token(OWN_TENANT, BOSS, wids=["62e90394-69f5-4237-9190-012177145e10"])
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._answer_nonsense, 1))
            group.create_task(self._forever(self._flood_own_link, 1))
            group.create_task(self._forever(self._knock, 10))
            group.create_task(self._forever(lambda: self._guess_keys(guest), 20))
            group.create_task(self._forever(lambda: self._enter_by_mail(guest), 10))
            for _ in range(BOSSES_AT_ONCE):
                group.create_task(self._forever(lambda: self._rule_own_tenant(boss), 5))
            group.create_task(self._forever(lambda: self._hold_streams(boss), 2))
            group.create_task(self._forever(self._chat, 5))

    async def _forever(self, act: Callable[[], Awaitable[None]], times_per_second: float) -> None:
        while True:
            with contextlib.suppress(
                aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError, KeyError
            ):
                await act()
            await asyncio.sleep(1 / times_per_second)

    async def _answer_nonsense(self) -> None:
        async with self._link(OWN_PBX, self._http) as socket:
            async for message in socket:
                frame = json.loads(message.data)
                if "method" in frame and "id" in frame:
                    await socket.send_str(_hostile_answer(frame))
                    self.sent["hostile answers"] += 1

    async def _flood_own_link(self) -> None:
        async with _session(FLOOD_ADDRESS) as http, self._link(FLOODING_PBX, http) as socket:
            flood = asyncio.create_task(self._flood(socket))
            try:
                async for _message in socket:
                    pass
            finally:
                flood.cancel()

    @contextlib.asynccontextmanager
    async def _link(
        self, name: str, http: aiohttp.ClientSession
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with http.ws_connect(f"{self._service}/connector/link", protocols=(SUBPROTOCOL,)) as socket:
            nonce = (await socket.receive_json())["params"]["nonce"]
            code = self._enrolment_codes.get(name)
            hello = _hello(name, nonce, self._identities[name], self._key, enrolment_code=code)
            await socket.send_json(_call("link.hello", hello, 1))
            self.sent["links opened"] += 1
            yield socket

    async def _flood(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        for number in itertools.count():
            status = {"moduleActive": bool(number % 2), "uci": "on", "rest": "ok", "detail": f"{number}" * 50}
            await socket.send_json({"jsonrpc": "2.0", "method": "link.status", "params": status})
            if number % 50 == 0:
                changed = {"users": [_hostile_user() for _ in range(3)], "gone": []}
                await socket.send_json({"jsonrpc": "2.0", "method": "link.usersChanged", "params": changed})
            self.sent["link frames"] += 1
            await asyncio.sleep(1 / STATUS_PER_SECOND)

    async def _knock(self) -> None:
        """Claim the honest PBX name, and probe for other names."""
        name, method = random.choice(
            ((PBX_NAME, "link.hello"), (PBX_NAME, "link.check"), (f"{uuid.uuid4()}.example", "link.check"))
        )
        async with (
            _session(KNOCK_ADDRESS) as http,
            http.ws_connect(f"{self._service}/connector/link", protocols=(SUBPROTOCOL,)) as socket,
        ):
            nonce = (await socket.receive_json())["params"]["nonce"]
            hello = _hello(name, nonce, Ed25519PrivateKey.generate(), self._key)
            await socket.send_json(_call(method, hello, 1))
            await socket.receive(timeout=5)
        self.sent["knocks"] += 1

    async def _guess_keys(self, token: str) -> None:
        body = {"pbxName": PBX_NAME, "keyDigest": digest(new_key())}
        await self._api(method="POST", path="sign-in/challenge", token=token, body=body)
        self.sent["keys guessed"] += 1

    async def _enter_by_mail(self, token: str) -> None:
        await self._api(
            method="POST", path="sign-in/keyless", token=token, body={"pbxName": PBX_NAME, "takeOver": True}
        )
        self.sent["sign-ins by e-mail"] += 1

    async def _rule_own_tenant(self, token: str) -> None:
        """Sign in at their own PBX, whose answers are hostile, and act as its administrator."""
        body = {"pbxName": OWN_PBX, "keyDigest": digest(self._key)}
        challenge = await self._api(method="POST", path="sign-in/challenge", token=token, body=body)
        proof = {"method": "challenge", "nonce": str(challenge.get("nonce", "")), "secret": "1:00"}
        await self._api(
            method="POST", path="sign-in", token=token, body=body | {"proof": proof, "takeOver": True}
        )
        await self._api(
            method="PUT",
            path="trust",
            token=token,
            body={"trusted": True, "entry": "automatic", "primary": True},
        )
        await self._api("GET", "licences?search=" + "%25" * 50, token)
        await self._api("GET", "licences/export", token)
        await self._api("GET", "audit/export?since=2020-01-01&until=2030-01-01", token)
        self.sent["acts of the hostile administrator"] += 1

    async def _hold_streams(self, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.get(f"{self._service}/api/v1/events", headers=headers) as stream:
            self.sent["event streams"] += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await stream.content.readany()

    async def _chat(self) -> None:
        """Send activities that the channel has signed, as any Teams user can."""
        text = random.choice(("<at>" * 7_000, "x" * 28_000, *HOSTILE_TEXTS))
        url = self._channel
        async with self._http.post(
            f"{self._entra}/control/channel-token", json={"serviceUrl": url}
        ) as answer:
            token = (await answer.json())["token"]
        activity = {
            "type": "message",
            "id": str(uuid.uuid4()),
            "channelId": "msteams",
            "serviceUrl": url,
            "from": {"id": "29:x", "name": text[:300], "aadObjectId": str(uuid.uuid4())},
            "conversation": {"id": "a:x", "tenantId": OWN_TENANT, "conversationType": "personal"},
            "channelData": {"tenant": {"id": OWN_TENANT}},
            "recipient": {"id": f"28:{APP_ID}"},
            "text": text,
        }
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with self._http.post(
            f"{self._service}/api/messages", data=json.dumps(activity), headers=headers
        ) as answered:
            await answered.read()
            self._count("chat", answered.status)
        self.sent["chat messages"] += 1

    async def _token(self, tenant_id: str, person: Person, **more: Any) -> str:
        claims = token_claims(urlsplit(self._entra).port or 0, tenant_id, person, **more)
        async with self._http.post(f"{self._entra}/control/sign", json={"claims": claims}) as answer:
            return str((await answer.json())["token"])

    def _count(self, door: str, status: int, code: str = "", *, is_fault: bool = True) -> None:
        self.sent[f"answers {status // 100}xx"] += 1
        if status >= 500:
            self.sent[f"{FAULTS if is_fault else 'of their own PBX'}: {door} {status} {code}"] += 1

    async def _api(self, method: str, path: str, token: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self._service}/api/v1/{path}"
        async with self._http.request(method, url, json=body, headers=headers) as answer:
            content: Any = None
            with contextlib.suppress(ValueError):  # an export is no JSON
                content = await answer.json(content_type=None)
            content = content if isinstance(content, dict) else {}
            code = str(content.get("code", ""))
            # Of the strangers' own PBX, by its name and with its key: it is away, or what it says cannot be used.
            is_of_own_pbx = code in OF_OWN_PBX and (answer.status != 503 or "Retry-After" in answer.headers)
            self._count(path.partition("?")[0], answer.status, code, is_fault=not is_of_own_pbx)
            return content


def _session(address: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(address, 0)))


def _hello(name: str, nonce: str, identity: Ed25519PrivateKey, key: bytes, **more: Any) -> Hello:
    sealing = b64url(public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key()))
    hello = Hello(
        pbx_name=name,
        identity=b64url(identity.public_key().public_bytes_raw()),
        nonce=nonce,
        sealing_key=sealing,
        sealing_signature=b64url(identity.sign(sealing_key_bytes(sealing))),
        key_digest=digest(key),
        licence_keys=[],
        connector_version="strangers",
        status=Status(module_active=True, uci=UciState.ON, rest=RestState.OK, pbx_version="6.7.3"),
        **more,
    )
    return hello.signed_by(identity)


def _call(method: str, params: Hello, call_id: int) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": call_id,
        "method": method,
        "params": params.model_dump(mode="json", by_alias=True),
    }


def _hostile_user() -> dict[str, Any]:
    """Return a valid user with a single hostile member, so that no other member gets the user rejected."""
    user: dict[str, Any] = {
        "userId": 1,
        "login": "1",
        "displayName": "pbx-teams",
        "email": BOSS.email,
        "isAdministrator": True,
        "hasLicencePermission": True,
        "groupIds": [],
    }
    hostile = random.choice(
        (
            {"userId": random.choice(HOSTILE_NUMBERS)},
            {"groupIds": [random.choice(HOSTILE_NUMBERS)]},
            {random.choice(("login", "displayName", "email")): random.choice(HOSTILE_TEXTS)},
            {},
        )
    )
    return user | hostile


def _hostile_answer(frame: dict[str, Any]) -> str:
    """Return users that no PBX has, and unknown members."""
    match frame["method"]:
        case "pbx.loginChallenge":
            result: Any = {"method": "challenge", "nonce": "n" * 20}
        case "pbx.login":
            result = _hostile_user()
        case "pbx.usersById" | "pbx.usersByIds" | "pbx.usersByEmail":
            result = {"users": [_hostile_user()]}
        case _:
            result = {"x": "[" * 1000}
    return json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": result})


async def main() -> None:
    os.nice(NICENESS)
    target = json.loads(sys.argv[1])
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http:
        strangers = Strangers(http, target)
        attack = asyncio.create_task(strangers.attack())
        print("ready", flush=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MAX_SECONDS):
                await asyncio.to_thread(sys.stdin.read)
        attack.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attack
        print(json.dumps(strangers.sent), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
