"""The administrator's connection page: every part's light, what happened, the doctor, a name handed over; and keys that
overlap when they are rotated.
"""

from datetime import timedelta

from connector.state import ConnectorState
from tests.support.connector_peer import Peer, connected, say
from tests.support.operator import run_operator_command
from tests.support.tab_client import TabClient
from tests.support.world import ANNA, CLARA, World, eventually
from wire.link import fingerprint
from wire.pbxkey import grouped


async def lights_of(world: World) -> dict[str, str]:
    report = (await world.client(CLARA).call("GET", "connection")).body
    return {part["part"]: part["light"] for part in report["parts"]}


async def test_every_part_is_green_when_everything_works(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)

    async def is_green() -> bool:
        """The connector reads its PBX's permissions within a minute; strangers of other tests make the link yellow."""
        lights = await lights_of(world)
        return set(lights.values()) == {"green"} or (
            lights.pop("link") == "yellow" and set(lights.values()) == {"green"}
        )

    await eventually(is_green, "every part is green", seconds=80)
    report = (await clara.call("GET", "connection")).body
    assert report["connected"] and report["pbxVersion"] == "6.7.3.20" and report["connectorVersion"]
    assert 0 < report["roundTripMs"] < 5000
    assert report["capabilities"]["dial"] == "change" and report["capabilities"]["calls"] == "read-only"
    assert sum(hour["links"] for hour in report["hours"]) >= 1
    assert any(event["text"].startswith("Connected, from") for event in report["events"])


async def test_only_administrators_see_it(world: World) -> None:
    anna = world.client(ANNA)
    await anna.sign_in(world.pbx_name, world.key)
    for method, path, body in (
        ("GET", "connection", None),
        ("POST", "connection/doctor", None),
        ("POST", "connection/hand-over", {"identity": "-".join(["0000"] * 8)}),
    ):
        assert (await anna.call(method, path, body)).code == "not-administrator"


async def test_a_part_that_fails_is_red_with_its_cure(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", "settings", {"uci": False, "reachable": False})

    async def is_told() -> bool:
        lights = await lights_of(world)
        return lights["rest"] == "red" and lights["uci"] == "yellow"

    await eventually(is_told, "the parts are told apart", seconds=60)
    report = (await clara.call("GET", "connection")).body
    rest = next(part for part in report["parts"] if part["part"] == "rest")
    assert rest["finding"]["code"] == "pbx-unreachable" and rest["finding"]["cure"]
    await world.pbx("PATCH", "settings", {"uci": True, "reachable": True})


async def test_the_remedy_depends_on_the_role(world: World) -> None:
    anna, clara = world.client(ANNA), world.client(CLARA)
    for client in (anna, clara):
        await client.sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", "settings", {"reachable": False})

    async def findings(client: TabClient, path: str) -> dict[str, str]:
        state = (await client.call("GET", path)).body["connection"]
        return {finding["code"]: finding["cure"] for finding in state["findings"]}

    async def is_found() -> bool:
        return "pbx-unreachable" in await findings(anna, "state")

    await eventually(is_found, "the PBX is not reached", seconds=60)
    assert (await findings(anna, "state"))["pbx-unreachable"].startswith("Ask your administrator")
    for path in ("state", "licences"):
        assert (await findings(clara, path))["pbx-unreachable"].startswith("Check that the PBX is running")
    refused = await clara.call("POST", "connection/uci-restart")
    assert "your administrator" not in str(refused.body)
    await world.pbx("PATCH", "settings", {"reachable": True})


async def test_the_doctor_is_called_from_the_tab(world: World) -> None:
    clara = world.client(CLARA, "de")
    await clara.sign_in(world.pbx_name, world.key)
    await world.pbx("PATCH", "settings", {"uci": False})
    findings = (await clara.call("POST", "connection/doctor")).body
    steps = {step["step"]: step for step in findings["steps"]}
    assert steps["pbx-login"]["outcome"] == "ok" and steps["key"]["outcome"] == "ok"
    assert steps["uci-login"]["outcome"] == "failed"
    assert steps["uci-login"]["title"] == "UCI: Anmeldung"
    assert steps["telephone"]["outcome"] == "skipped"
    assert steps["uci-login"]["words"]["cure"].startswith("Prüfen Sie")


async def test_a_pbx_reinstalled_without_a_backup_gets_its_name(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    state = world.demo.state / "connector"
    kept = {path.name: path.read_bytes() for path in state.iterdir()}
    await world.demo.stop_part("connector")
    for path in state.iterdir():
        path.unlink()
    await world.demo.spawn_connector()  # another identity, another key

    async def has_tried() -> dict[str, str] | None:
        others = (await clara.call("GET", "connection")).body["others"]
        return next((one for one in others if one["identity"] == ConnectorState(state).fingerprint), None)

    other = await eventually(has_tried, "the new installation is shown", seconds=60)
    assert (await lights_of(world))["link"] == "red"
    # Nobody else's identity can be let in by it.
    wrong = await clara.call("POST", "connection/hand-over", {"identity": "-".join(["0000"] * 8)})
    assert (wrong.status, wrong.code) == (410, "claim-gone")
    assert (await clara.call("POST", "connection/hand-over", {"identity": other["identity"]})).status == 200

    state_now = await clara.state()
    assert not state_now["signedIn"] and state_now["sessionEnd"]["cause"] == "handed-over"
    new_key = grouped(ConnectorState(state).pbx_key())

    async def is_linked() -> bool:
        return world.is_linked()

    await eventually(is_linked, "the new installation connects", seconds=70)
    assert (await clara.prepare(world.pbx_name, world.key)).code == "wrong-key"
    await clara.sign_in(world.pbx_name, new_key)
    report = (await clara.call("GET", "connection")).body
    assert report["identity"] == other["identity"]
    assert other["identity"] not in [one["identity"] for one in report["others"]]
    audit = (await clara.call("GET", "audit/export?timeZone=UTC")).body["content"].decode()
    assert "name-handed-over" in audit

    # And back, so that the world is as it was: this time by the operator's command.
    await world.demo.stop_part("connector")
    for name, content in kept.items():
        (state / name).touch(mode=0o600)
        (state / name).write_bytes(content)
    await world.demo.spawn_connector()
    old = ConnectorState(state).fingerprint
    await eventually(has_tried, "the old installation is shown", seconds=60)
    assert old in await run_operator_command(world, "show", world.pbx_name)
    assert "belongs to" in await run_operator_command(world, "hand-over", world.pbx_name, old)
    await world.demo.write_key_file()
    await world.connected()
    assert (await clara.state())["sessionEnd"]["cause"] == "handed-over"


async def test_a_link_that_lost_its_name_is_closed(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    impostor = Peer(world.pbx_name)
    async with connected(world) as (socket, nonce):
        await say(socket, impostor.hello(nonce))
    await shown(world, impostor)
    links = world.log("connector").count("link closed")
    identity = fingerprint(impostor.hello("n" * 32).identity)
    assert (await clara.call("POST", "connection/hand-over", {"identity": identity})).status == 200

    async def is_closed() -> bool:
        return world.log("connector").count("link closed") > links

    await eventually(is_closed, "the old identity's link is closed", seconds=5)

    async def is_refused() -> bool:
        return ConnectorState(world.demo.state / "connector").fingerprint in await run_operator_command(
            world, "show", world.pbx_name
        )

    await eventually(is_refused, "the old identity tries again and is refused", seconds=30)
    back = ConnectorState(world.demo.state / "connector").fingerprint
    await run_operator_command(world, "hand-over", world.pbx_name, back)
    await world.connected()


async def test_old_and_new_key_are_both_good_for_a_while(world: World) -> None:
    old, links = world.key, world.log("connector").count("link open")
    out = await world.demo.connector("key", "new", "--keep-old", "2")
    assert "old key is good until" in out
    await opened_again(world, links)
    await world.demo.write_key_file()
    new = world.key
    assert new != old
    assert (await world.client().prepare(world.pbx_name, new)).body["keyGoodUntil"] is None
    assert (await world.client().prepare(world.pbx_name, old)).body["keyGoodUntil"] is not None
    assert (await world.client().sign_in(world.pbx_name, old)).status == 200
    links = world.log("connector").count("link open")
    assert "stops working within seconds" in await world.demo.connector("key", "new", "--keep-old", "0")
    await opened_again(world, links)
    await world.demo.write_key_file()
    assert (await world.client().prepare(world.pbx_name, new)).code == "wrong-key"
    assert (await world.client().prepare(world.pbx_name, world.key)).status == 200


async def test_a_sealed_login_opens_with_the_old_key_while_it_is_good(world: World) -> None:
    await world.pbx("PATCH", "settings", {"loginType": "ActiveDirectory"})
    old, links = world.key, world.log("connector").count("link open")
    ConnectorState(world.demo.state / "connector").renew_pbx_key(timedelta(hours=1))
    await opened_again(world, links)
    await world.demo.write_key_file()
    assert (await world.client().sign_in(world.pbx_name, old)).status == 200


async def shown(world: World, peer: Peer) -> None:
    """Waits until administrators see that this one has tried the name: it is written after the answer."""
    identity = fingerprint(peer.hello("n" * 32).identity)

    async def is_shown() -> bool:
        report = (await world.client(CLARA).call("GET", "connection")).body
        return identity in [other["identity"] for other in report["others"]]

    await eventually(is_shown, "the other installation is shown")


async def opened_again(world: World, links: int) -> None:
    async def is_open() -> bool:
        return world.log("connector").count("link open") > links

    await eventually(is_open, "the connector opens its link with the new key", seconds=20)


async def test_a_right_that_cannot_be_read_is_not_a_right_that_is_gone(world: World) -> None:
    clara = world.client(CLARA)
    await clara.sign_in(world.pbx_name, world.key)
    odd = {"path": "/permissions/users/", "body": [None, {"id": 1, "permission": "Fax"}]}
    await world.pbx("PUT", "answers", [odd])
    refused = await clara.call("POST", "connection/doctor")
    assert refused.code == "pbx-answer-unclear"
    await world.pbx("PUT", "answers", [])
    assert (await clara.state())["person"]["isAdministrator"]
    assert (await clara.call("POST", "connection/doctor")).status == 200
