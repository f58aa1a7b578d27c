"""Where the connector listens: for events of the PBX on one address, for its status page to this machine alone."""

import asyncio
import socket
import ssl
import xmlrpc.client
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from connector.config import PbxSection, UciSection
from connector.errors import ConnectorError
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.uci import Callbacks, UciClient
from simulator import tls
from tests.support.world import World, free_ports
from wire.link import UciState

EVENT = xmlrpc.client.dumps(({"id": "1"},), methodname="ucp.v22.events.call.receiveCallState")


def is_reached(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    "config", [UciSection(), UciSection(callback_host="localhost"), UciSection(callback_host="127.0.0.2")]
)
async def test_it_listens_at_the_address_given_to_the_pbx_and_nowhere_else(config: UciSection) -> None:
    callbacks = Callbacks(config)
    await callbacks.start()
    try:
        here = config.callback_host.replace("localhost", "127.0.0.1")
        assert is_reached(here, callbacks.port)
        # With 0.0.0.0 every address of this machine would answer, 127.0.0.3 among them.
        assert not is_reached("127.0.0.3", callbacks.port)
    finally:
        await callbacks.stop()


async def test_in_a_container_it_listens_where_the_configuration_says() -> None:
    callbacks = Callbacks(UciSection(callback_host="192.0.2.20", callback_listen="0.0.0.0"))
    await callbacks.start()
    assert is_reached("127.0.0.3", callbacks.port)
    assert callbacks.query("s")["de.vertico.starface.callback.host"] == "192.0.2.20"
    await callbacks.stop()


@pytest.mark.parametrize("host", ["192.0.2.20", "no-such-host.invalid"])
async def test_an_address_that_is_not_of_this_machine_is_reported_with_its_cure(
    host: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = UciSection(callback_host=host)
    rest = StarfaceRest(PbxSection(name="p", url="http://127.0.0.1:1", login="0001", password="x"))
    client = UciClient(config, rest, asyncio.Event(), Readings(lambda: None))
    await client.run()
    assert client.state is UciState.FAILED
    (record,) = [record for record in caplog.records if record.name == "connector.uci"]
    assert "callback_listen" in record.getMessage() and record.exc_info is None
    await rest.close()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path, ssl.SSLContext]:
    tls.make_certificates(tmp_path)
    both = tmp_path / "server.pem"
    return both, both, ssl.create_default_context(cafile=tmp_path / "ca.pem")


async def test_events_by_https(certificate: tuple[Path, Path, ssl.SSLContext]) -> None:
    chain, key, trusts = certificate
    # As an editor of Windows leaves it.
    chain.write_bytes(b"\xef\xbb\xbf" + chain.read_bytes().replace(b"\n", b"\r\n"))
    config = UciSection(callback_certificate=chain, callback_key=key)
    heard: list[Any] = []
    callbacks = Callbacks(config)
    await callbacks.start()
    secret = callbacks.open(lambda method, _params: heard.append(method))
    assert callbacks.query(secret)["de.vertico.starface.callback.type"] == "https"
    url = f"https://localhost:{callbacks.port}/uci/{secret}"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, data=EVENT, ssl=trusts) as answer:
            assert answer.status == 200
        async with http.post(url[:-1], data=EVENT, ssl=trusts) as answer:
            assert answer.status == 404
        with pytest.raises(aiohttp.ClientError):
            await http.post(url.replace("https", "http"), data=EVENT)
    assert heard == ["receiveCallState"]
    await callbacks.stop()


OWN = {"user": "1001", "auth": "1001:ab+cd"}


def address(**members: str) -> dict[str, str]:
    return {f"de.vertico.starface.{name}": value for name, value in members.items()}


@pytest.mark.parametrize(
    ("told", "own", "status"),
    [
        (OWN, OWN, 200),
        ({"user": "1002", "auth": "1002:ff"}, OWN, 403),
        ({"user": "1002"}, OWN, 403),
        ({"user": "1001", "auth": "1002:ff"}, OWN, 403),
        ({"auth": "1002:ff"}, OWN, 403),
        # Base64 whose "+" was not encoded, another case, blanks.
        ({"user": " 1001", "auth": "1001:ab cd"}, OWN, 200),
        ({"user": "ANNA", "auth": "anna:AB+CD"}, {"user": "Anna", "auth": "anna:ab+cd"}, 200),
        # What is not sent, or not understood, says nothing.
        ({}, OWN, 200),
        ({"user": "", "auth": ""}, OWN, 200),
        ({"user": "m%FCller"}, {"user": "müller", "auth": "x"}, 200),
        # A login by OAuth has no such identity.
        ({"user": "1002", "auth": "1002:ff"}, {"jwt": "token"}, 200),
    ],
)
async def test_an_event_for_another_user_is_refused_and_never_logged(
    told: dict[str, str], own: dict[str, str], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """EspoCRM's extension compares the query in the same way; in addition the path is secret."""
    heard: list[str] = []
    callbacks = Callbacks(UciSection())
    await callbacks.start()
    caplog.set_level("DEBUG")
    secret = callbacks.open(lambda method, _params: heard.append(method), lambda: address(**own))
    url = f"http://127.0.0.1:{callbacks.port}/uci/{secret}"
    async with aiohttp.ClientSession() as http, http.post(url, params=address(**told), data=EVENT) as answer:
        assert answer.status == status
    assert bool(heard) == (status == 200)
    assert callbacks.events_refused == (status == 403)
    assert not any(one in caplog.text for one in (*told.values(), secret) if one.strip())
    await callbacks.stop()


async def test_a_certificate_that_is_none_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text("nonsense")
    with pytest.raises(ConnectorError, match="do not make a certificate"):
        await Callbacks(UciSection(callback_certificate=file, callback_key=file)).start()
    with pytest.raises(ConnectorError, match=r"cannot read callback_certificate .*none\.pem"):
        await Callbacks(UciSection(callback_certificate=tmp_path / "none.pem", callback_key=file)).start()
    with pytest.raises(ValidationError, match="belong together"):
        UciSection(callback_certificate=file)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            (host, 200)
            for host in ("127.0.0.1:{port}", "localhost:{port}", "localhost", "[::1]:{port}", "LOCALHOST")
        ),
        *(
            (host, 421)
            for host in ("evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "192.0.2.1")
        ),
        *((host, 421) for host in ("", "localhost@evil.example", "pbx.example.com:{port}", "[", "a:b:c")),
    ],
)
async def test_the_status_page_answers_to_its_own_name_only(status_page: int, host: str, status: int) -> None:
    """A page of the Internet that gives its own name this machine's address reads nothing."""
    for path in ("/", "/status", "/healthz", "/metrics"):
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host.format(port=status_page)}",
            "Origin: http://evil.example",
        ]
        answered, body, head = await raw(status_page, lines)
        assert answered in ((status,) if status == 421 else (200, 503)), (path, answered)
        assert "access-control" not in head.lower()
        if status == 421:
            assert "pbx.example.com" not in body


async def raw(port: int, lines: list[str]) -> tuple[int, str, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    text = (await reader.read()).decode()
    writer.close()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split(" ")[1]), body, head


@pytest.fixture(scope="module")
async def status_page(the_world: World) -> Any:
    port = free_ports(1)
    await the_world.demo.stop_part("connector")
    await the_world.demo.start_connector(status_port=str(port))
    yield port
    await the_world.demo.stop_part("connector")
    await the_world.demo.start_connector()
    await the_world.connected()
