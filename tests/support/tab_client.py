"""What the tab in a browser does, without a browser: the same requests, the same proofs."""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from connector.login import internal_secret, uci_token
from simulator.people import TENANT_ID, Person
from wire.link import CALLS, seal_context
from wire.pbxkey import digest, parse_key
from wire.sealing import from_b64url, seal


@dataclass
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None


class TabClient:
    """One demo person at the tab API."""

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
            return Answer(response.status, await response.json(content_type=None))

    async def state(self) -> dict[str, Any]:
        return (await self.call("GET", "state")).body

    async def prepare(self, pbx_name: str, key: str) -> Answer:
        body = {"pbxName": pbx_name, "keyDigest": digest(parse_key(key))}
        return await self.call("POST", "sign-in/challenge", body)

    async def sign_in(
        self,
        pbx_name: str,
        key: str,
        *,
        login: str | None = None,
        password: str | None = None,
        take_over: bool = False,
    ) -> Answer:
        prepared = await self.prepare(pbx_name, key)
        if prepared.status != 200:
            return prepared
        login = login or self.person.login
        password = password or self.person.password
        challenge = prepared.body
        if challenge["method"] == "challenge":
            secret = internal_secret(login, challenge["nonce"], password)
            proof = {"method": "challenge", "nonce": challenge["nonce"], "secret": secret}
        else:
            context = seal_context(pbx_name, TENANT_ID, self.person.object_id, challenge["nonce"])
            plaintext = json.dumps({"login": login, "password": password}).encode()
            box = seal(from_b64url(challenge["sealingKey"]), parse_key(key), plaintext, context)
            proof = {"method": "sealed", "nonce": challenge["nonce"], "box": box.model_dump(by_alias=True)}
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
        """The consent: seals the UCI login to the connector."""
        prepared = await self.call("POST", "audio/calls/challenge")
        if prepared.status != 200:
            return prepared
        challenge, login = prepared.body, login or prepared.body["login"]
        context = seal_context(pbx_name, TENANT_ID, self.person.object_id, challenge["nonce"], CALLS)
        token = uci_token(login, password or self.person.password)
        plaintext = json.dumps({"login": login, "uciToken": token}).encode()
        box = seal(from_b64url(challenge["sealingKey"]), parse_key(key), plaintext, context)
        body = {"nonce": challenge["nonce"], "box": box.model_dump(by_alias=True)}
        return await self.call("PUT", "audio/calls", body)

    async def sign_out(self) -> Answer:
        return await self.call("POST", "sign-out")
