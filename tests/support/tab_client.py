"""Does what the tab in a browser does, without a browser: the same requests, the same proofs."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec

from connector.login import internal_secret, uci_token
from simulator.people import TENANT_ID, Person
from wire.bounds import b64url, from_b64url
from wire.link import ANSWER, CALLS, KEY_DELIVERY, LOGIN, NEW_KEY, seal_context
from wire.pbxkey import KeyFile, digest, parse_key
from wire.phone import PHONE
from wire.sealing import SealedBox, open_box, public_bytes, seal

METHODS: Final = ("sealed-challenge",)


@dataclass
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None


class TabClient:
    """One demo user of the tab API."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        service_url: str,
        entra_url: str,
        person: Person,
        language: str = "en",
    ) -> None:
        self.person = person
        self.language = language
        self._http = http
        self._service_url = service_url
        self._entra_url = entra_url

    async def token(self, seconds: int = 3600) -> str:
        body = {"objectId": self.person.object_id, "seconds": seconds}
        async with self._http.post(f"{self._entra_url}/control/sso", json=body) as answer:
            return (await answer.json())["token"]

    async def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {token or await self.token()}", "Accept-Language": self.language}
        url = f"{self._service_url}/api/v1/{path}"
        async with self._http.request(method, url, json=body, headers=headers) as response:
            if response.content_disposition is not None:  # an export
                return Answer(
                    response.status,
                    {
                        "fileName": response.content_disposition.filename,
                        "contentType": response.headers["Content-Type"],
                        "content": await response.read(),
                        "complete": response.headers["X-Complete"] == "true",
                    },
                )
            return Answer(response.status, await response.json(content_type=None))

    @asynccontextmanager
    async def get(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a GET request and yield the response as it arrives."""
        headers = {"Authorization": f"Bearer {await self.token()}", "Accept-Language": self.language}
        async with self._http.get(f"{self._service_url}/api/v1/{path}", headers=headers) as response:
            yield response

    async def state(self) -> dict[str, Any]:
        return (await self.call("GET", "state")).body

    async def prepare(self, pbx_name: str, key: str, methods: Sequence[str] = METHODS) -> Answer:
        """Request a challenge. `methods` are those that this tab supports in addition to those of the first
        version, which sends none.
        """
        body: dict[str, Any] = {"pbxName": pbx_name, "keyDigest": digest(parse_key(key))}
        if methods:
            body["methods"] = list(methods)
        return await self.call("POST", "sign-in/challenge", body)

    def proof(
        self, challenge: dict[str, Any], key: str, login: str | None = None, password: str | None = None
    ) -> dict[str, Any]:
        """Compute the tab's answer to a challenge, with login and password."""
        login, password = login or self.person.login, password or self.person.password
        method, nonce = challenge["method"], challenge["nonce"]
        if method == "challenge":
            return {"method": method, "nonce": nonce, "secret": internal_secret(login, nonce, password)}
        content, purpose = {"login": login, "password": password}, LOGIN
        if method == "sealed-challenge":
            content, purpose = {"secret": internal_secret(login, challenge["pbxNonce"], password)}, ANSWER
        context = seal_context(challenge["pbxName"], TENANT_ID, self.person.object_id, nonce, purpose)
        sealing_key = from_b64url(challenge["sealingKey"])
        box = seal(sealing_key, parse_key(key), json.dumps(content).encode(), context)
        return {"method": method, "nonce": nonce, "box": box.model_dump(by_alias=True)}

    async def sign_in(
        self,
        pbx_name: str,
        key: str,
        *,
        login: str | None = None,
        password: str | None = None,
        take_over: bool = False,
        methods: Sequence[str] = METHODS,
    ) -> Answer:
        prepared = await self.prepare(pbx_name, key, methods)
        if prepared.status != 200:
            return prepared
        proof = self.proof(prepared.body, key, login, password)
        return await self.submit(pbx_name, key, proof, take_over=take_over)

    async def submit(self, pbx_name: str, key: str, proof: Any, *, take_over: bool = False) -> Answer:
        body = {
            "pbxName": pbx_name,
            "keyDigest": digest(parse_key(key)),
            "proof": proof,
            "takeOver": take_over,
        }
        return await self.call("POST", "sign-in", body)

    async def follow_calls(
        self, pbx_name: str, key: str, *, login: str | None = None, password: str | None = None
    ) -> Answer:
        """Consent to the help with calls."""
        return await self._give_login("audio/calls", CALLS, pbx_name, key, login, password)

    async def switch_phone_on(
        self, pbx_name: str, key: str, *, login: str | None = None, password: str | None = None
    ) -> Answer:
        return await self._give_login("phone", PHONE, pbx_name, key, login, password)

    async def ask_new_key(
        self, key: str, request: str, hours: float = 72.0
    ) -> tuple[Answer, Callable[[Answer], KeyFile]]:
        """Ask the connector for a new PBX key, as the page *Connection* does. Return the answer, and what opens its box."""
        prepared = await self.call("POST", "connection/new-key/challenge")
        assert prepared.status == 200, prepared.body
        private, challenge = ec.generate_private_key(ec.SECP256R1()), prepared.body
        whom = {"tenant_id": TENANT_ID, "object_id": self.person.object_id, "nonce": challenge["nonce"]}
        wanted = {
            "request": request,
            "browserKey": b64url(public_bytes(private.public_key())),
            "keepOldHours": hours,
        }
        context = seal_context(challenge["pbxName"], purpose=NEW_KEY, **whom)
        content = json.dumps(wanted).encode()
        box = seal(from_b64url(challenge["sealingKey"]), parse_key(key), content, context)
        body = {"nonce": challenge["nonce"], "box": box.model_dump(by_alias=True)}

        def opened(answer: Answer) -> KeyFile:
            box = SealedBox.model_validate(answer.body["box"])
            context = seal_context(challenge["pbxName"], purpose=KEY_DELIVERY, **whom)
            return KeyFile.model_validate_json(open_box(private, parse_key(key), box, context))

        return await self.call("POST", "connection/new-key", body), opened

    async def _give_login(
        self, path: str, purpose: str, pbx_name: str, key: str, login: str | None, password: str | None
    ) -> Answer:
        """Seal the UCI login to the connector."""
        prepared = await self.call("POST", f"{path}/challenge")
        if prepared.status != 200:
            return prepared
        challenge, login = prepared.body, login or prepared.body["login"]
        context = seal_context(pbx_name, TENANT_ID, self.person.object_id, challenge["nonce"], purpose)
        token = uci_token(login, password or self.person.password)
        plaintext = json.dumps({"login": login, "uciToken": token}).encode()
        box = seal(from_b64url(challenge["sealingKey"]), parse_key(key), plaintext, context)
        return await self.call(
            "PUT", path, {"nonce": challenge["nonce"], "box": box.model_dump(by_alias=True)}
        )

    async def sign_out(self) -> Answer:
        return await self.call("POST", "sign-out")
