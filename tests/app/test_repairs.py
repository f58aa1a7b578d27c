"""An administrator repairs the connector from Teams: UCI off and on, a new key, diagnostics. Checked with the PBX, audited,
refused by an owner who does not want it, and not offered by connectors that do not know it.
"""

import uuid
from pathlib import Path
from typing import Any

from connector.config_file import ConfigFile
from connector.state import ConnectorState
from tests.support.older_connectors import first_version_connector
from tests.support.world import ANNA, CLARA, World, eventually
from wire.pbxkey import grouped, parse_key

RESTART = ("POST", "connection/uci-restart")


async def report_of(world: World) -> dict[str, Any]:
    return (await world.client(CLARA).call("GET", "connection")).body  # type: ignore[no-any-return]


async def audit_of(world: World, language: str = "en") -> str:
    answer = await world.client(CLARA, language).call("GET", "audit/export?timeZone=UTC")
    return str(answer.body["content"].decode())


async def test_uci_is_switched_off_and_on_from_teams(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    # The PBX has dropped UCI for a while; the connector would wait up to half a minute.
    await world.pbx("PATCH", "settings", {"uci": False})
    await world.pbx("POST", "uci/drop")

    async def is_told() -> bool:
        part = next(one for one in (await report_of(world))["parts"] if one["part"] == "uci")
        return part["light"] == "yellow" and part["repair"] == "restart-uci"

    await eventually(is_told, "the page offers the repair beside the cause", seconds=60)
    failed = (await clara.call(*RESTART)).body
    assert failed["uci"] in ("failed", "connecting") and failed["words"]["cure"]
    await world.pbx("PATCH", "settings", {"uci": True})
    connected = world.log("connector").count("UCI connected")
    assert (await clara.call(*RESTART)).body == {"uci": "on", "words": None}
    assert world.log("connector").count("UCI connected") > connected
    audit = await audit_of(world)
    assert "UCI connector switched off and on from Teams" in audit and "UCI is on again" in audit
    assert "UCI Connector aus Teams aus- und wieder eingeschaltet" in await audit_of(world, "de")


async def test_a_new_key_is_delivered_to_the_browser_alone(world: World) -> None:
    clara, old = world.client(CLARA), world.key
    await clara.sign_in(world.pbx_name, old)
    links = world.log("connector").count("link open")
    answer, opened = await clara.ask_new_key(old, str(uuid.uuid4()), hours=1)
    assert answer.status == 200, answer.body
    key_file = opened(answer)
    new = parse_key(key_file.pbx_key)
    assert new == ConnectorState(world.demo.state / "connector").pbx_key() != parse_key(old)
    assert key_file.pbx_name == world.pbx_name and key_file.connector_identity and key_file.sealed_only

    async def is_linked_again() -> bool:
        return world.log("connector").count("link open") > links

    await eventually(is_linked_again, "the link opens with the new key", seconds=30)
    assert (await world.client(ANNA).prepare(world.pbx_name, key_file.pbx_key)).status == 200
    assert (await world.client(ANNA).prepare(world.pbx_name, old)).status == 200, "the old one is still good"
    assert (await report_of(world))["oldKeyUntil"] is not None
    for name in ("service", "connector"):
        assert key_file.pbx_key not in world.log(name) and new not in world.log(name)
    audit = await audit_of(world)
    for words in ("New PBX key asked for from Teams", "A new key was made", "PBX key renewed"):
        assert words in audit
    await world.demo.write_key_file()


async def test_a_browser_with_another_key_gets_none(world: World, tmp_path: Path) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    before = ConnectorState(world.demo.state / "connector").pbx_key()
    wrong = grouped(ConnectorState(tmp_path).pbx_key())
    answer, _ = await clara.ask_new_key(wrong, str(uuid.uuid4()))
    assert (answer.status, answer.code) == (403, "wrong-key")
    assert ConnectorState(world.demo.state / "connector").pbx_key() == before
    assert "Refused by the connector" in await audit_of(world)


async def test_a_lost_answer_is_reported_as_unknown_and_asking_again_brings_the_key(world: World) -> None:
    clara, old = world.client(CLARA), world.key
    await clara.sign_in(world.pbx_name, old)
    await world.demo.stop_part("connector")
    await world.demo.start_connector(module="tests.support.dying_connector")
    await world.connected()
    request = str(uuid.uuid4())
    answer, _ = await clara.ask_new_key(old, request)
    assert (answer.status, answer.code) == (504, "outcome-unknown")
    assert "unknown whether a new key" in answer.body["title"] and "again" in answer.body["cure"]
    assert "it is unknown whether it was done" in await audit_of(world)
    made = ConnectorState(world.demo.state / "connector").pbx_key()
    assert made != parse_key(old)
    await world.demo.stop_part("connector")
    await world.demo.start_connector()

    async def is_answered() -> str | None:
        found = await clara.call("POST", "connection/new-key/challenge")
        return "yes" if found.status == 200 else None

    await eventually(is_answered, "the connector is back", seconds=60)
    answer, opened = await clara.ask_new_key(old, request)
    assert answer.status == 200 and parse_key(opened(answer).pbx_key) == made, "no third key"
    await world.demo.write_key_file()
    await world.connected()


async def test_an_owner_who_does_not_want_it_is_obeyed(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    file = ConfigFile(world.demo.connector_configuration)
    file.change({"teams.repairs": False})

    async def is_told() -> bool:
        repairs = (await report_of(world))["repairs"]
        return repairs["finding"] is not None and repairs["finding"]["code"] == "repairs-refused"

    await eventually(is_told, "the page says so", seconds=30)
    assert (await report_of(world))["repairs"]["offered"] == []
    for path in ("uci-restart", "new-key/challenge", "doctor"):
        answer = await clara.call("POST", f"connection/{path}")
        assert (answer.status, answer.code) == (409, "repairs-refused"), path
    file.change({"teams.repairs": True})

    async def is_offered() -> bool:
        return len((await report_of(world))["repairs"]["offered"]) == 3

    await eventually(is_offered, "repairs are offered again", seconds=30)


async def test_an_older_connector_is_not_asked_for_what_it_does_not_know(world: World) -> None:
    clara = world.client(CLARA)
    async with first_version_connector(world):
        await clara.sign_in(world.pbx_name, world.key)
        repairs = (await report_of(world))["repairs"]
        assert repairs["offered"] == ["examine"]
        assert repairs["finding"]["code"] == "connector-outdated" and "too old" in repairs["finding"]["title"]
        assert (await clara.call(*RESTART)).code == "connector-outdated"
        assert (await clara.call("POST", "connection/doctor")).status == 200


async def test_only_administrators_repair_and_refusals_are_audited(world: World) -> None:
    anna = world.client(ANNA)
    await anna.sign_in(world.pbx_name, world.key)
    box = {"ephemeralKey": "A" * 87, "nonce": "A" * 16, "ciphertext": "AAAA"}
    for path, body in (
        ("uci-restart", None),
        ("new-key/challenge", None),
        ("new-key", {"nonce": "n", "box": box}),
    ):
        assert (await anna.call("POST", f"connection/{path}", body)).code == "not-administrator", path

    async def is_audited() -> bool:
        audit = await audit_of(world)
        return "Make a new PBX key" in audit and "Switch the UCI connector off and on" in audit

    await world.client(CLARA).sign_in(world.pbx_name, world.key)
    await eventually(is_audited, "the refusals are audited")
