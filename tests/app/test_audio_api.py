"""The audio operations of the tab API, with the whole service."""

from typing import Any

from tests.support.world import ANNA, BEN, CLARA, World

HEADSET = {"label": "Headset (Jabra Evolve2 65)", "deviceId": "d", "groupId": "g"}
LAPTOP = {"label": "Speakers (Realtek(R) Audio)", "deviceId": "e", "groupId": "h"}


def uses(**labels: dict[str, str]) -> dict[str, Any]:
    """`teams_output=HEADSET` and the like."""
    parts = [(name.split("_"), device) for name, device in labels.items()]
    return {"uses": [{"program": p, "device": {**device, "kind": kind}} for (p, kind), device in parts]}


async def signed_in(world: World, person: Any = ANNA):
    client = world.client(person)
    assert (await client.sign_in(world.pbx_name, world.key)).status == 200
    await client.call("DELETE", "audio")
    return client


async def test_what_a_person_declares_is_concluded_from(world: World) -> None:
    anna = await signed_in(world)
    nothing = (await anna.call("GET", "audio")).body
    assert nothing["finding"]["verdict"] == "unknown"
    assert len(nothing["finding"]["missing"]) == 5
    devices = {"devices": [{**HEADSET, "kind": "output"}, {**LAPTOP, "kind": "output"}]}
    assert (await anna.call("PUT", "audio/devices", devices)).status == 200
    found = (
        await anna.call("PUT", "audio/declared", uses(teams_output=HEADSET, softphone_output=HEADSET))
    ).body
    assert found["finding"]["verdict"] == "conflict"
    assert "Jabra Evolve2 65" in found["finding"]["detail"]
    assert [step["device"] for step in found["finding"]["steps"]] == ["Speakers (Realtek Audio)"]
    assert (await anna.state())["audio"] == "conflict"
    german = (await world.client(ANNA, "de").call("GET", "audio")).body
    assert german["finding"]["title"] == "Teams und das Softphone teilen sich ein Audiogerät"
    assert found["stored"]["present"] == [HEADSET["label"], LAPTOP["label"]]
    changed = (
        await anna.call("PUT", "audio/declared", uses(teams_output=LAPTOP, softphone_output=HEADSET))
    ).body
    assert changed["finding"]["verdict"] == "unknown"
    assert (await anna.state())["audio"] is None


async def test_everything_can_be_deleted(world: World) -> None:
    anna = await signed_in(world)
    await anna.call("PUT", "audio/declared", uses(teams_output=HEADSET, softphone_output=HEADSET))
    await anna.call("PUT", "audio/named", {"named": True})
    gone = (await anna.call("DELETE", "audio")).body
    assert gone["stored"] == {"uses": [], "present": [], "calls": [], "never": []}
    assert not gone["named"]
    assert gone["finding"]["verdict"] == "unknown"


async def test_only_who_is_signed_in_has_devices_stored(world: World) -> None:
    anna = world.client(ANNA)
    for method, path, body in (
        ("GET", "audio", None),
        ("PUT", "audio/devices", {"devices": []}),
        ("PUT", "audio/declared", {"uses": []}),
        ("POST", "audio/pairing", None),
        ("PUT", "audio/named", {"named": True}),
        ("GET", "audio/conflicts", None),
    ):
        answer = await anna.call(method, path, body)
        assert (answer.status, answer.code) == (403, "not-signed-in"), path


async def test_deleting_is_open_to_who_has_signed_out(world: World) -> None:
    anna = await signed_in(world)
    await anna.call("PUT", "audio/declared", uses(teams_output=HEADSET))
    await anna.sign_out()
    assert (await anna.call("DELETE", "audio")).status == 200
    await anna.sign_in(world.pbx_name, world.key)
    assert (await anna.call("GET", "audio")).body["stored"]["uses"] == []


async def test_bad_input_gets_an_error_that_names_it_and_loses_nothing(world: World) -> None:
    anna = await signed_in(world)
    await anna.call("PUT", "audio/declared", uses(teams_output=HEADSET))
    for body in (
        {"uses": [{"program": "zoom", "device": {**HEADSET, "kind": "output"}}]},
        {"uses": [{"program": "teams", "device": {**HEADSET, "kind": "video"}}]},
        {"uses": [{"program": "teams", "device": {**HEADSET, "deviceId": "x" * 129, "kind": "input"}}]},
        {"uses": [{"program": "teams", "device": {**HEADSET, "label": "", "kind": "input"}}]},
        {"uses": uses(teams_output=HEADSET)["uses"] * 5},
        {"uses": "none"},
        {},
    ):
        answer = await anna.call("PUT", "audio/declared", body)
        assert (answer.status, answer.code) == (400, "invalid-request"), body
    assert len((await anna.call("GET", "audio")).body["stored"]["uses"]) == 1


async def test_administrators_see_how_many_and_names_only_with_consent(world: World) -> None:
    anna, ben = await signed_in(world), await signed_in(world, BEN)
    clara = await signed_in(world, CLARA)
    for client in (anna, ben):
        await client.call("PUT", "audio/declared", uses(teams_output=HEADSET, softphone_output=HEADSET))
    await anna.call("PUT", "audio/named", {"named": True})
    found = (await clara.call("GET", "audio/conflicts")).body
    assert found["conflicts"] == [
        {"device": "Jabra Evolve2 65", "people": 2, "names": ["Anna Berger (1001)"]}
    ]
    assert found["people"] >= 2
    refused = await anna.call("GET", "audio/conflicts")
    assert (refused.status, refused.code) == (403, "not-administrator")
    await ben.sign_out()
    assert (await clara.call("GET", "audio/conflicts")).body["conflicts"][0]["people"] == 1
