"""The connector's own end: other systems, an inactive module, a rotated key, a proxy in the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from connector.config_file import ConfigFile
from tests.support.proxy import Proxy
from tests.support.world import ANNA, World, eventually
from wire.pbxkey import grouped


@asynccontextmanager
async def another_world(path: Path, **options: Any) -> AsyncIterator[World]:
    world = World(path, **options)
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


@pytest.mark.parametrize(
    ("version", "login_type"), [("6.7.3.20", "ActiveDirectory"), ("10.0.1.6", "Internal")]
)
async def test_where_the_pbx_must_see_the_password_it_is_sealed(
    tmp_path: Path, version: str, login_type: str
) -> None:
    async with another_world(tmp_path, pbx_version=version, login_type=login_type) as world:
        client = world.client(ANNA)
        assert (await client.prepare(world.pbx_name, world.key)).body["method"] == "sealed"
        answer = await client.sign_in(world.pbx_name, world.key)
        assert answer.status == 200 and answer.body["connection"]["pbxVersion"] == version
        await client.sign_out()
        assert (await client.sign_in(world.pbx_name, world.key, password="wrong")).code == "login-rejected"
        # A sealed login is good once, and only for the person who sealed it.
        box = {"ephemeralKey": "A" * 87, "nonce": "A" * 16, "ciphertext": "AAAA"}
        proof = {"method": "sealed", "nonce": "invented", "box": box}
        assert (await client.submit(world.pbx_name, world.key, proof)).code == "challenge-expired"
        nonce = (await client.prepare(world.pbx_name, world.key)).body["nonce"]
        proof["nonce"] = nonce
        assert (await client.submit(world.pbx_name, world.key, proof)).code == "login-rejected"
        assert (await client.submit(world.pbx_name, world.key, proof)).code == "challenge-expired"
        for name in ("service", "connector"):
            assert ANNA.password not in world.log(name)


async def test_a_module_that_is_switched_off_reports_it(world: World) -> None:
    file = ConfigFile(world.demo.connector_configuration)
    file.change({"active": False})

    async def told() -> bool:
        return (await world.client().prepare(world.pbx_name, world.key)).code == "module-inactive"

    await eventually(told, "the connector says it before it closes its link", seconds=30)
    assert not world.is_linked()
    links = world.log("connector").count("link open")
    file.change({"active": True})
    await world.connected()
    assert world.log("connector").count("link open") == links + 1


async def test_a_uci_connector_that_is_off_is_a_warning_with_its_cure(world: World) -> None:
    await restart_connector(world, uci="false")
    await world.connected()
    state = (await world.client().sign_in(world.pbx_name, world.key)).body
    assert [finding["code"] for finding in state["connection"]["findings"]] == ["uci-connector-off"]
    assert state["connection"]["connected"]
    await restart_connector(world)


async def test_a_new_key_is_good_at_once_and_the_old_one_no_longer(world: World) -> None:
    from connector.state import ConnectorState

    old = world.key
    links = world.log("connector").count("link open")
    new = grouped(ConnectorState(world.demo.state / "connector").renew_pbx_key())

    async def opened_again() -> bool:
        return world.log("connector").count("link open") > links

    await eventually(opened_again, "the connector opens its link with the new key", seconds=20)
    assert (await world.client().prepare(world.pbx_name, new)).status == 200
    assert (await world.client().prepare(world.pbx_name, old)).code == "wrong-key"
    await world.demo.write_key_file()


async def test_a_name_that_belongs_to_another_installation_is_reported_in_the_log(world: World) -> None:
    identity = world.demo.state / "connector" / "identity.pem"
    kept = identity.read_bytes()
    await world.demo.stop_part("connector")
    identity.unlink()
    before = world.log("connector").count("is not bound to this connector")
    await world.demo.spawn_connector()

    async def told() -> bool:
        return world.log("connector").count("is not bound to this connector") > before

    await eventually(told, "the refusal is explained")
    refused = await world.client().prepare(world.pbx_name, world.key)
    assert (refused.status, refused.code) == (
        503,
        "link-down",
    )  # what another installation tries is not the cause
    await world.demo.stop_part("connector")
    identity.write_bytes(kept)
    await world.demo.start_connector()
    await world.connected()


@pytest.mark.parametrize("form", ["{login}@{address}", "http://{login}@{address}/"])
async def test_the_link_goes_through_a_proxy_that_the_environment_names(world: World, form: str) -> None:
    """With and without http:// (T19), with a password that nobody has encoded."""
    login = "user:p@ss#1"
    address = 'http://pbx-teams.example"\nallow_http = true # "'
    async with Proxy(world.demo.service_port, schemes=("Negotiate", "Basic"), login=login) as proxy:
        value = form.format(login=login, address=proxy.address)
        environment = {"HTTP_PROXY": value, "http_proxy": value, "NO_PROXY": "", "no_proxy": ""}
        await world.demo.stop_part("connector")
        await world.demo.start_connector(environment=environment, service_url=address)
        await world.connected()
        assert any("http://pbx-teams.example/connector/link" in head for head in proxy.seen), proxy.seen
        assert not any("/rest" in head or "/xml-rpc" in head for head in proxy.seen)  # the PBX stands here
        assert "p@ss" not in world.log("connector")
        await restart_connector(world)


async def restart_connector(world: World, **changes: str) -> None:
    await world.demo.stop_part("connector")
    await world.demo.start_connector(**changes)
