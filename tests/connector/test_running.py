"""A running connector follows its configuration: changes take effect at once, nothing else starts again, and a file
that cannot be used is told.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connector.config_file import ConfigFile
from connector.site.security import leave_ticket
from connector.state import ConnectorState
from tests.support.line import ANNA, LOGINS
from tests.support.starface import running_starface
from tests.support.tiny_hub import ConnectorProcess, TinyHub, tiny_hub
from tests.support.world import eventually, free_ports
from wire.link import Method, UciState
from wire.phone import LineState

SECONDS = 30.0


class Place:
    """A hub, a connector with its file, and a PBX."""

    def __init__(
        self, hub: TinyHub, connector: ConnectorProcess, port: int, http: aiohttp.ClientSession
    ) -> None:
        self.hub, self.connector, self._http = hub, connector, http
        self.pbx_url = f"http://127.0.0.1:{port}"
        self.status_port = free_ports(1)
        self.file = ConfigFile(connector.configuration)

    async def status(self) -> dict[str, Any]:
        async with self._http.get(f"http://127.0.0.1:{self.status_port}/status") as answer:
            return await answer.json()  # type: ignore[no-any-return]

    async def status_with(self, what: str, **wanted: Any) -> dict[str, Any]:
        async def found() -> dict[str, Any] | None:
            try:
                status = await self.status()
            except aiohttp.ClientError:
                return None
            return status if wanted.items() <= status.items() else None

        status: dict[str, Any] = await eventually(found, what, SECONDS)
        return status

    async def uci_logins(self) -> dict[str, Any]:
        async with self._http.get(f"{self.pbx_url}/control/state") as answer:
            return (await answer.json())["uciLogins"]  # type: ignore[no-any-return]

    async def pbx(self, path: str, body: Any, method: str = "PATCH") -> None:
        async with self._http.request(method, f"{self.pbx_url}/control/{path}", json=body) as answer:
            assert answer.status < 300

    def log(self) -> str:
        return self.connector.log.read_text()

    async def logged(self, words: str, times: int = 1) -> None:
        async def is_there() -> bool:
            return self.log().count(words) >= times

        await eventually(is_there, f"the log says {words!r}", SECONDS)

    async def open_phone(self) -> None:
        async def is_possible() -> bool:
            return bool((await self.hub.call(Method.CALLS_CHALLENGE))["possible"])

        await eventually(is_possible, "the connector has logged in to UCI", SECONDS)
        await self.hub.open_phone(self.connector.state, ANNA, *LOGINS[ANNA])

    async def line_is_up(self) -> bool:
        return (await self.hub.line(ANNA)).state is LineState.UP

    def path(self, name: str) -> Path:
        return self.connector.directory / name


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with running_starface() as port, aiohttp.ClientSession() as http, tiny_hub() as hub:
        place = Place(hub, ConnectorProcess(tmp_path, hub, port), port, http)
        place.file.change({"status.port": place.status_port})
        await place.connector.start()
        try:
            await hub.linked()
            yield place
        finally:
            await place.connector.kill()


async def test_what_does_not_touch_link_and_lines_leaves_them_open(place: Place) -> None:
    await place.open_phone()
    place.file.change({"telephone.region": "AT"})
    await place.logged("the configuration was read again changed=telephone")
    assert (await place.status())["linksOpened"] == 1 and len(place.hub.hellos) == 1
    assert await place.line_is_up() and "UCI connection lost" not in place.log()
    # The open line dials as in Austria from now on.
    dial = {"userId": ANNA, "callId": "11111111-1111-4111-8111-111111111111", "number": "01 58858"}
    assert (await place.hub.call("phone.dial", **dial))["number"] == "0043158858"


async def test_licence_keys_are_reported_to_the_service_while_lines_stay_open(place: Place) -> None:
    await place.open_phone()
    place.file.change({"licences.keys": ["eyJh.first.key"]})
    await place.status_with("the link is open again", linked=True, linksOpened=2)
    assert place.hub.hellos[-1].licence_keys == ["eyJh.first.key"]
    await place.hub.linked()
    assert await place.line_is_up() and "UCI connection lost" not in place.log()


async def test_a_broken_file_is_reported_and_the_configuration_before_it_kept(place: Place) -> None:
    good = place.file.path.read_text()
    for broken, words in (
        (good.replace("[pbx]", "[pbx"), "is not TOML"),
        (good.replace('login = "0001"', 'login = ""'), "pbx.login"),
        (good.replace('password = "foobar"', 'password_file = "/nowhere/password"'), "/nowhere/password"),
    ):
        place.file.path.write_text(broken)

        async def is_told(words: str = words) -> bool:
            return words in str((await place.status())["configuration"]["fault"])

        await eventually(is_told, f"the fault is told: {words}", SECONDS)
    status = await place.status()
    assert status["linked"] and status["linksOpened"] == 1 and status["configuration"]["faultSince"]
    assert "the one before is kept" in place.log()
    report = await place.hub.call(Method.DOCTOR)
    step = next(step for step in report["steps"] if step["step"] == "configuration")
    assert (step["outcome"], step["code"], step["variant"]) == ("failed", "configuration-invalid", "kept")
    assert next(step for step in report["steps"] if step["step"] == "pbx-login")["outcome"] == "ok"
    assert "foobar" not in str(report) and "foobar" not in place.log()

    place.file.path.write_text(good)

    async def is_well() -> bool:
        return (await place.status())["configuration"]["fault"] is None

    await eventually(is_well, "the corrected file is used", SECONDS)
    assert (await place.status())["linksOpened"] == 1


async def test_a_file_that_is_being_written_is_not_read(place: Place) -> None:
    """An editor that writes in place leaves a beginning of the file for a moment, which may be valid without its end."""
    text = place.file.path.read_text() + "[uci]\nenabled = false\n"
    beginning = text[: text.index("[pbx]")]
    ends = asyncio.get_running_loop().time() + 3
    while asyncio.get_running_loop().time() < ends:
        place.file.path.write_text(beginning)
        await asyncio.sleep(0.1)
    place.file.path.write_text(text)
    await place.status_with("the whole file is used", uciEnabled=False)
    assert "is kept" not in place.log()


async def test_switched_off_it_has_no_link_and_switched_on_it_links_at_once(place: Place) -> None:
    await place.open_phone()
    place.file.change({"active": False})
    await place.status_with("the link is closed", linked=False, active=False)
    await place.logged("the connector is switched off; the service knows")
    assert not place.hub.hellos[-1].status.module_active and place.hub.endpoint is None

    async def nobody_is_logged_in() -> bool:
        return not await place.uci_logins()

    await eventually(nobody_is_logged_in, "nobody is logged in to UCI", SECONDS)
    place.file.change({"active": True})
    await place.status_with("the link is open", linked=True, active=True)
    assert place.hub.hellos[-1].status.module_active
    await eventually(place.line_is_up, "Anna's line is up again", SECONDS)


async def test_started_while_switched_off_it_tells_the_service(place: Place) -> None:
    await place.connector.kill()
    place.file.change({"active": False})
    hellos = len(place.hub.hellos)
    await place.connector.start()
    await place.logged("the connector is switched off; the service knows")
    assert len(place.hub.hellos) == hellos + 1 and not place.hub.hellos[-1].status.module_active
    await place.status_with("it runs without a link", linked=False, active=False)
    # A new key must be known to the service: who has it shall learn the cause, not that the key is wrong.
    place.connector.state.renew_pbx_key()

    async def is_told() -> bool:
        return len(place.hub.hellos) == hellos + 2

    await eventually(is_told, "the new key is told", SECONDS)
    assert place.hub.hellos[-1].key_digest != place.hub.hellos[-2].key_digest


async def test_uci_is_switched_off_and_on(place: Place) -> None:
    await place.open_phone()
    place.file.change({"uci.enabled": False})
    await place.status_with("UCI is off", uci="off")

    async def nobody_is_logged_in() -> bool:
        return not await place.uci_logins()

    await eventually(nobody_is_logged_in, "nobody is logged in to UCI", SECONDS)
    assert not await place.line_is_up()
    place.file.change({"uci.enabled": True})
    await place.status_with("UCI is on", uci="on")
    await eventually(place.line_is_up, "Anna's line is up again", SECONDS)
    assert (await place.status())["linksOpened"] == 1


async def test_off_and_on_again_repairs_uci(place: Place) -> None:
    await place.open_phone()
    connected = place.log().count("UCI connected")
    answer = await place.hub.call(Method.RESTART_UCI)
    assert answer == {"uci": UciState.ON}
    assert place.log().count("UCI connected") == connected + 1
    await eventually(place.line_is_up, "Anna's line is up again", SECONDS)
    assert sorted(await place.uci_logins()) == ["0001", LOGINS[ANNA][0]]
    assert (await place.status())["linksOpened"] == 1

    await place.pbx("settings", {"uci": False})
    assert (await place.hub.call(Method.RESTART_UCI))["uci"] in ("failed", "connecting")
    await place.pbx("settings", {"uci": True})
    assert await place.hub.call(Method.RESTART_UCI) == {"uci": "on"}
    place.file.change({"uci.enabled": False})
    await place.status_with("UCI is off", uci="off")
    assert await place.hub.call(Method.RESTART_UCI) == {"uci": "off"}, "the configuration decides"


async def test_another_password_in_its_file_is_used(place: Place) -> None:
    password = place.path("password")
    password.write_text("foobar\n")
    password.chmod(0o600)
    place.file.change({"pbx.password": None, "pbx.password_file": str(password)})
    await place.status_with("it links with the password from the file", linked=True, linksOpened=2)
    await place.pbx("users/0001", {"password": "another"})
    password.write_text("another\n")
    await place.status_with("it links with the other password", linked=True, linksOpened=3)

    async def is_logged_in() -> bool:
        return (await place.status())["pbx"]["rest"] == "ok"

    await eventually(is_logged_in, "the PBX takes the other password", SECONDS)


async def test_another_pbx_and_another_state_directory_are_used(place: Place) -> None:
    async with running_starface() as port:
        other = place.path("other-state")
        place.file.change(
            {
                "pbx.url": f"http://127.0.0.1:{port}",
                "state_directory": str(other),
                "pbx.name": "other.example.com",
            }
        )
        status = await place.status_with("it links", linked=True, pbxName="other.example.com")
        assert place.hub.hellos[-1].identity != place.hub.hellos[0].identity
        assert status["identity"] and (other / "identity.pem").exists()


async def test_the_owner_may_refuse_repairs(place: Place) -> None:
    assert "repairs" in (place.hub.hellos[-1].capabilities or ())
    place.file.change({"teams.repairs": False})
    await place.status_with("the link is open again", linked=True, linksOpened=2, repairsFromTeams=False)
    capabilities = place.hub.hellos[-1].capabilities or ()
    assert "repairs-refused" in capabilities and "repairs" not in capabilities
    for method in (Method.DOCTOR, Method.RESTART_UCI, Method.KEY_CHALLENGE):
        with pytest.raises(Exception, match="switched off") as refused:
            await place.hub.call(method)
        assert getattr(refused.value, "code", None) == "repairs-refused"


async def test_the_module_page_follows_its_port_and_goes_off_and_on(place: Place) -> None:
    """Also with a session that goes on at the new port, and after another state directory, with its one-time links."""
    first, second = free_ports(1), free_ports(1)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as http:

        async def opens(port: int, path: str, status: int = 200) -> str:
            """Wait until the page answers; return the path where it ends."""

            async def found() -> str | None:
                try:
                    async with http.get(f"http://127.0.0.1:{port}{path}") as answer:
                        return answer.url.path if answer.status == status else None
                except aiohttp.ClientConnectionError:
                    return None

            path = await eventually(found, f"the page answers on port {port}", SECONDS)
            return path

        async def is_gone(port: int) -> bool:
            try:
                async with http.get(f"http://127.0.0.1:{port}/"):
                    return False
            except aiohttp.ClientConnectionError:
                return True

        place.file.change({"page.port": first})
        await opens(first, "/")
        inside = await opens(first, f"/start/{leave_ticket(place.connector.state)}")
        place.file.change({"page.port": second})
        assert await opens(second, inside) == inside
        await eventually(lambda: is_gone(first), "the old port is closed", SECONDS)
        place.file.change({"page.port": 0})
        await eventually(lambda: is_gone(second), "the page is switched off", SECONDS)
        place.file.change({"page.port": second, "state_directory": str(place.path("elsewhere"))})
        await opens(second, "/")
        await opens(second, inside, 401)
        await opens(second, f"/start/{leave_ticket(ConnectorState(place.path('elsewhere')))}")
        assert len(place.hub.hellos) == 2, "only the other identity opened another link"
