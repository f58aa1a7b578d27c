"""A new PBX key, asked for from Teams: sealed to the browser that asked, made once for each request, safe from crashes."""

import json
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from connector.calls import Calls
from connector.config import Config, PbxSection, ServiceSection, TeamsSection, UciSection
from connector.directory import Directory
from connector.logins import Logins
from connector.methods import PbxMethods
from connector.readings import Readings
from connector.repairs import RepairMethods
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.uci import Callbacks
from tests.support.killed import killed_at_every_line
from wire.bounds import b64url
from wire.jsonrpc import RpcRefusalError
from wire.link import KEY_DELIVERY, LOGIN, NEW_KEY, Method, seal_context
from wire.pbxkey import KeyFile, PbxKey, digest, new_key, parse_key
from wire.sealing import CannotOpenError, SealedBox, open_box, public_bytes, seal

NAME = "pbx.example.com"
WHOM = {
    "tenant_id": "11111111-1111-4111-8111-111111111111",
    "object_id": "22222222-2222-4222-8222-222222222222",
}


class Browser:
    """An administrator's browser, and the connector that it asks through the service."""

    def __init__(self, directory: Path, *, permitted: bool = True) -> None:
        self.state = ConnectorState(directory)
        pbx = PbxSection(name=NAME, url="http://127.0.0.1:9", login="0001", password="foobar")
        self.config = Config(
            service=ServiceSection(url="http://127.0.0.1:9"), pbx=pbx, teams=TeamsSection(repairs=permitted)
        )
        self._rest = StarfaceRest(pbx)
        monitor: Any = SimpleNamespace(status=None, note_rest_state=lambda _state: None)
        methods = PbxMethods(
            self._rest,
            Directory(self._rest, Readings(lambda: None), active=True),
            self.state,
            monitor,
            Calls(Logins(self._rest, Callbacks(UciSection()), self.state)),
            NAME,
            uses_oauth=False,
        )
        connector: Any = SimpleNamespace(
            config=self.config,
            state=self.state,
            new_key=lambda keep_old, request=None: self.state.renew_pbx_key(keep_old, request),
        )
        self._handlers = RepairMethods(connector, methods).handlers()
        self.known_key: PbxKey = self.state.pbx_key()
        """The key with which the browser asks."""
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.request = str(uuid.uuid4())

    async def nonce(self) -> str:
        answer = await self._handlers[Method.KEY_CHALLENGE]({})
        assert answer is not None
        return str(answer.model_dump()["nonce"])

    async def ask(self, nonce: str | None = None, purpose: str = NEW_KEY, **changes: Any) -> KeyFile:
        nonce = nonce or await self.nonce()
        wanted = {
            "request": self.request,
            "browserKey": b64url(public_bytes(self._private.public_key())),
            "keepOldHours": 72,
        } | changes
        context = seal_context(NAME, nonce=nonce, purpose=purpose, **WHOM)
        recipient = public_bytes(self.state.sealing.public_key())
        box = seal(recipient, self.known_key, json.dumps(wanted).encode(), context)
        params = {"tenantId": WHOM["tenant_id"], "objectId": WHOM["object_id"], "nonce": nonce}
        answer = await self._handlers[Method.NEW_KEY]({**params, "box": box.model_dump(by_alias=True)})
        assert answer is not None
        self.carried = answer.model_dump_json(by_alias=True)
        self.context = seal_context(NAME, nonce=nonce, purpose=KEY_DELIVERY, **WHOM)
        content = open_box(self._private, self.known_key, answer.box, self.context)  # type: ignore[attr-defined]
        return KeyFile.model_validate_json(content)

    async def refused(self, **changes: Any) -> str:
        with pytest.raises(RpcRefusalError) as raised:
            await self.ask(**changes)
        return raised.value.code

    async def close(self) -> None:
        await self._rest.close()


@pytest.fixture
async def browser(tmp_path: Path) -> Any:
    browser = Browser(tmp_path)
    yield browser
    await browser.close()


async def test_the_key_file_reaches_the_browser_that_asked_and_nobody_on_the_way(browser: Browser) -> None:
    old = browser.known_key
    key_file = await browser.ask()
    new = parse_key(key_file.pbx_key)
    assert new == browser.state.pbx_key() != old
    assert key_file == browser.state.key_file(NAME)
    previous = browser.state.previous_pbx_key()
    assert previous is not None and previous[0] == old
    assert timedelta(hours=71) < previous[1] - datetime.now(UTC) <= timedelta(hours=72)
    # What the service carries: it has neither key, only their digests, and no private key of the browser.
    assert new not in browser.carried and key_file.pbx_key not in browser.carried
    box = SealedBox.model_validate(json.loads(browser.carried)["box"])
    for private, key in ((ec.generate_private_key(ec.SECP256R1()), old), (browser._private, new_key())):
        with pytest.raises(CannotOpenError):
            open_box(private, key, box, browser.context)


async def test_asked_again_it_is_the_same_key_and_another_request_is_another_one(browser: Browser) -> None:
    first = await browser.ask()
    assert await browser.ask() == first, "the browser still knows the old key only"
    browser.known_key, browser.request = parse_key(first.pbx_key), str(uuid.uuid4())
    assert (await browser.ask()).pbx_key != first.pbx_key


async def test_who_does_not_know_the_key_gets_no_other(browser: Browser) -> None:
    """A service that wants the key cannot ask for one in somebody's name: it has only the digest."""
    before = browser.state.pbx_key()
    browser.known_key = new_key()
    assert await browser.refused() == "login-rejected"
    browser.known_key = before
    assert await browser.refused(nonce="invented") == "challenge-expired"
    assert await browser.refused(purpose=LOGIN) == "login-rejected"
    nonce = await browser.nonce()
    await browser.ask(nonce)
    assert await browser.refused(nonce=nonce) == "challenge-expired", "a nonce is good once"


@pytest.mark.parametrize(
    "changes",
    [
        {"keepOldHours": 0},
        {"keepOldHours": 1e9},
        {"browserKey": "A" * 87},
        {"request": "x"},
        {"more": 1},
    ],
)
async def test_a_request_that_does_not_fit_makes_no_key(browser: Browser, changes: dict[str, Any]) -> None:
    before = browser.state.pbx_key()
    assert await browser.refused(**changes) in ("login-rejected", "protocol-error")
    assert browser.state.pbx_key() == before and browser.state.previous_pbx_key() is None


async def test_the_owner_may_refuse_it(tmp_path: Path) -> None:
    browser = Browser(tmp_path, permitted=False)
    before = browser.state.pbx_key()
    assert await browser.refused(nonce="any") == "repairs-refused"
    with pytest.raises(RpcRefusalError, match="switched off"):
        await browser.nonce()
    assert browser.state.pbx_key() == before
    await browser.close()


@pytest.mark.parametrize("keep_old", [timedelta(hours=72), timedelta(0)])
def test_a_crash_at_any_moment_leaves_the_old_key_or_the_new_one(tmp_path: Path, keep_old: timedelta) -> None:
    """And a request that is repeated gets the key that counts; with a time for the old key, the old one never stops before it."""
    kept = tmp_path / "kept"
    old = ConnectorState(kept).pbx_key()
    seen = set()
    for ended in killed_at_every_line(
        lambda: ConnectorState(tmp_path / "state").renew_pbx_key(keep_old, "request"),
        *("connector/state.py", "connector/files.py"),
    ):
        directory = tmp_path / "state"
        if directory.exists():
            state = ConnectorState(directory)
            current, previous = state.pbx_key(), state.previous_pbx_key()
            seen.add(current == old)
            assert not ended or current != old
            if keep_old:
                assert current == old or (previous is not None and previous[0] == old)
            again = state.renew_pbx_key(keep_old, "request")
            assert again == state.pbx_key() != old
            assert current in (old, again), "a key that was made is not replaced by asking again"
            previous = state.previous_pbx_key()
            if keep_old:
                assert previous is not None and previous[0] == old
            shutil.rmtree(directory)
        shutil.copytree(kept, directory)
    assert seen == {True, False}
    assert digest(old)


def test_nothing_but_the_owner_reads_what_is_kept(tmp_path: Path) -> None:
    state = ConnectorState(tmp_path)
    state.pbx_key()
    state.renew_pbx_key(timedelta(hours=1), "request")
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("pbx-key.renewal",):
        assert state.pbx_key() not in (tmp_path / name).read_text()
