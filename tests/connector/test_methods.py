"""What the connector makes of a person's login: each box is good once, for one person, for one purpose."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from connector import methods
from connector.calls import Calls
from connector.config import PbxSection, UciSection
from connector.directory import Directory
from connector.errors import (
    PbxBlockedError,
    PbxError,
    PbxRestartingError,
    PbxSlowError,
    PbxUnreachableError,
)
from connector.login import internal_secret
from connector.logins import Logins
from connector.methods import NONCE_SECONDS, PbxMethods
from connector.monitor import Monitor
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks
from simulator.starface.model import CLIENT_SECRET, LoginType, Settings
from simulator.starface.server import create
from wire.bounds import b64url, from_b64url
from wire.jsonrpc import RpcRefusalError
from wire.link import (
    ANSWER,
    CALLS,
    LOGIN,
    LoginMethod,
    Method,
    RestState,
    capabilities_bytes,
    seal_context,
)
from wire.sealing import public_bytes, seal

WHOM = {
    "tenant_id": "11111111-1111-4111-8111-111111111111",
    "object_id": "22222222-2222-4222-8222-222222222222",
}
NAME = "pbx.example.com"


class Connector:
    """The methods of a connector with a simulated STARFACE."""

    def __init__(self, state: ConnectorState, url: str, *, oauth: bool = False) -> None:
        more: dict[str, Any] = {"auth": "oauth", "oauth_client_secret": CLIENT_SECRET} if oauth else {}
        self.rest = StarfaceRest(PbxSection(name=NAME, url=url, login="0001", password="foobar", **more))
        self.state = state

        self.heard: list[RestState] = []
        heard = self.heard

        class Silent:
            """Neither calls nor the PBX's state matter here."""

            status = None

            def note_rest_state(self, state: RestState) -> None:
                heard.append(state)

        monitor: Monitor = Silent()  # type: ignore[assignment]
        calls = Calls(Logins(self.rest, Callbacks(UciSection()), state))
        directory = Directory(self.rest, Readings(lambda: None), active=True)
        made = PbxMethods(self.rest, directory, state, monitor, calls, NAME, uses_oauth=oauth)
        self.handlers = made.handlers()

    async def call(self, method: Method, params: Any) -> dict[str, Any]:
        answer = await self.handlers[method](params)
        assert answer is not None
        return answer.model_dump(mode="json", by_alias=True)

    async def challenge(self, *known: str) -> dict[str, Any]:
        params = {"methods": list(known)} if known else {}
        return await self.call(Method.LOGIN_CHALLENGE, params)

    def box(self, issued: str, content: Any, **changes: str) -> dict[str, Any]:
        context = seal_context(**({"pbx_name": NAME, "nonce": issued, "purpose": ANSWER, **WHOM} | changes))
        text = content if isinstance(content, str) else json.dumps(content)
        recipient = public_bytes(self.state.sealing.public_key())
        return seal(recipient, self.state.pbx_key(), text.encode(), context).model_dump(by_alias=True)

    async def login(self, **proof: Any) -> str:
        """The login of the user who was proven, or the code of the refusal."""
        params = {"proof": proof, "tenantId": WHOM["tenant_id"], "objectId": WHOM["object_id"]}
        try:
            return str((await self.call(Method.LOGIN, params))["login"])
        except RpcRefusalError as refusal:
            return refusal.code

    async def answer(self, challenge: dict[str, Any], content: Any = None, **changes: str) -> str:
        if content is None:
            content = {"secret": internal_secret("1001", challenge["pbxNonce"], "anna-1001")}
        box = self.box(challenge["nonce"], content, **changes)
        return await self.login(method="sealed-challenge", nonce=challenge["nonce"], box=box)


async def connector_beside(settings: Settings, directory: Path) -> AsyncIterator[Connector]:
    runner = web.AppRunner(create(settings), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    connector = Connector(ConnectorState(directory), url, oauth=settings.oauth)
    yield connector
    await connector.rest.close()
    await runner.cleanup()


@pytest.fixture
async def connector(tmp_path: Path) -> AsyncIterator[Connector]:
    async for one in connector_beside(Settings(version="6.7.3.20"), tmp_path):
        yield one


async def test_a_sealed_answer_proves_the_user_once(connector: Connector) -> None:
    challenge = await connector.challenge("sealed-challenge")
    assert challenge["method"] == LoginMethod.SEALED_CHALLENGE
    assert await connector.answer(challenge) == "1001"
    assert await connector.answer(challenge) == "challenge-expired"


async def test_two_people_at_once_do_not_get_into_each_others_way(connector: Connector) -> None:
    first, second = [await connector.challenge("sealed-challenge") for _ in range(2)]
    assert await connector.answer(second) == "1001"
    assert await connector.answer(first) == "1001"


@pytest.mark.parametrize(
    "changes",
    [
        {"object_id": "ben"},
        {"tenant_id": "another"},
        {"pbx_name": "branch.example.com"},
        {"nonce": "another"},
        {"purpose": LOGIN},
        {"purpose": CALLS},
    ],
)
async def test_a_box_is_good_for_one_person_one_pbx_one_attempt_and_one_purpose(
    connector: Connector, changes: dict[str, str]
) -> None:
    challenge = await connector.challenge("sealed-challenge")
    assert await connector.answer(challenge, **changes) == "login-rejected"
    assert await connector.answer(challenge) == "challenge-expired"


@pytest.mark.parametrize(
    "content",
    [
        *("", "null", "[]", "{}", "\x00", '{"secret":"\\ud800"}', "[" * 5000),
        *({"secret": ""}, {"secret": "x" * 401}, {"secret": 1}, {"secret": "1001:wrong"}),
        *({"login": "1001", "password": "anna-1001"}, {"secret": "x", "more": 1}),
    ],
)
async def test_what_a_box_may_hold_that_is_no_answer(connector: Connector, content: Any) -> None:
    assert await connector.answer(await connector.challenge("sealed-challenge"), content) == "login-rejected"


async def test_an_answer_to_another_nonce_of_the_pbx_is_refused(connector: Connector) -> None:
    """Anyone who chose the nonce in the browser's place has an answer that this PBX does not take."""
    challenge = await connector.challenge("sealed-challenge")
    secret = internal_secret("1001", "chosen-by-somebody", "anna-1001")
    assert await connector.answer(challenge, {"secret": secret}) == "login-rejected"


async def test_a_nonce_is_good_for_five_minutes(
    connector: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        later = 0.0

        @classmethod
        def monotonic(cls) -> float:
            return 1000.0 + cls.later

    monkeypatch.setattr(methods, "time", Clock)
    young, old = [await connector.challenge("sealed-challenge") for _ in range(2)]
    Clock.later = NONCE_SECONDS - 1
    assert await connector.answer(young) == "1001"
    Clock.later = NONCE_SECONDS + 1
    assert await connector.answer(old) == "challenge-expired"


async def test_nothing_unsealed_is_taken_and_the_pbx_is_not_even_asked(connector: Connector) -> None:
    login_type, nonce = await connector.rest.login_challenge()
    assert login_type == "Internal"
    secret = internal_secret("1001", nonce, "anna-1001")
    assert await connector.login(method="challenge", nonce=nonce, secret=secret) == "challenge-expired"
    # The PBX's nonce is still good: nobody has used it.
    assert (await connector.rest.prove_challenge(nonce, secret)).login == "1001"


async def test_who_knows_no_sealed_answers_seals_the_password(connector: Connector) -> None:
    for known in ((), ("telepathy",), ("challenge",)):
        challenge = await connector.challenge(*known)
        assert challenge["method"] == LoginMethod.SEALED and set(challenge) == {"method", "nonce"}
        box = connector.box(challenge["nonce"], {"login": "1001", "password": "anna-1001"}, purpose=LOGIN)
        assert await connector.login(method="sealed", nonce=challenge["nonce"], box=box) == "1001"


@pytest.mark.parametrize(
    "settings",
    [
        Settings(version="6.7.3.20", login_type=LoginType.ACTIVE_DIRECTORY),
        Settings(version="10.0.1.6", oauth=True),
    ],
)
async def test_where_the_pbx_must_see_the_password_it_is_the_password_that_is_sealed(
    tmp_path: Path, settings: Settings
) -> None:
    async for connector in connector_beside(settings, tmp_path):
        assert (await connector.challenge("sealed-challenge"))["method"] == LoginMethod.SEALED


async def test_the_capabilities_are_signed_for_the_browser(connector: Connector) -> None:
    state = connector.state
    signature = from_b64url(state.sign_capabilities(["b", "a"]))
    identity = Ed25519PublicKey.from_public_bytes(from_b64url(state.identity_public))
    identity.verify(signature, capabilities_bytes(state.sealing_public, ["a", "b"]))
    other = b64url(b"another sealing key")
    for sealing_key, names in ((other, ["a", "b"]), (state.sealing_public, ["a"])):
        with pytest.raises(InvalidSignature):
            identity.verify(signature, capabilities_bytes(sealing_key, names))


@pytest.mark.parametrize("fault", [PbxUnreachableError, PbxRestartingError, PbxSlowError, PbxBlockedError])
async def test_a_pbx_that_is_away_is_looked_at_at_once(
    connector: Connector, monkeypatch: pytest.MonkeyPatch, fault: type[PbxError]
) -> None:
    """Whatever keeps the PBX from answering a person shows in the status, not only at the next check."""

    async def away(_user_id: int) -> None:
        raise fault("away")

    monkeypatch.setattr(connector.rest, "user", away)
    with pytest.raises(RpcRefusalError) as raised:
        await connector.call(Method.USERS_BY_ID, {"userId": 1})
    assert raised.value.code == fault.code
    assert connector.heard == [RestState.UNREACHABLE]
