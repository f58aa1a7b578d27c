"""The bot lets in whom the tab lets in, says to everybody else why not, and keeps nothing of them."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

from bot.channel import MICROSOFT_HOSTS, ChannelHosts
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.language import Language
from simulator.people import TENANT_ID
from tests.support.chat import activity, ask, claims, post, words
from tests.support.world import ANNA, World

STRANGER = "99999999-9999-4999-8999-999999999999"


def stored(world: World, object_id: str) -> int:
    with closing(sqlite3.connect(world.demo.state / "pbx-teams.db")) as database:
        query = "SELECT count(*) FROM conversation WHERE object_id = ?"
        return int(database.execute(query, (object_id,)).fetchone()[0])


async def hears(world: World, body: dict[str, Any]) -> str:
    """Send a signed activity, and return the one sentence that the bot writes into its chat."""
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    assert await post(world, body, token) == 201
    (message,) = (await world.chat(ANNA))[before:]
    assert message["textFormat"] == "plain" and "attachments" not in message
    return str(message["text"])


def sender(object_id: Any = STRANGER) -> dict[str, Any]:
    return {"id": "29:stranger", "aadObjectId": object_id}


NOWHERE = {"id": ANNA.object_id, "conversationType": "personal"}


@pytest.mark.parametrize(
    "changes",
    [
        {"from": {"id": "29:stranger"}},
        {"from": sender("")},
        {"from": sender(7)},
        {"from": sender("anna")},
        {"from": sender(STRANGER + "0")},
        {"channelData": {}, "conversation": NOWHERE},
        {"channelData": None, "conversation": {**NOWHERE, "tenantId": "contoso"}},
        {"channelData": {"tenant": {"id": STRANGER}}},
        {"channelData": {"tenant": "x"}, "conversation": NOWHERE},
    ],
)
async def test_a_sender_who_cannot_be_identified_gets_an_explanation(
    world: World, changes: dict[str, Any]
) -> None:
    assert (await hears(world, activity(world, **changes))).startswith("I cannot tell who you are")
    german = await hears(world, activity(world, locale="de-DE", **changes))
    assert german.startswith("Ich kann nicht erkennen, wer Sie sind")
    assert not stored(world, STRANGER) and not stored(world, "")


@pytest.mark.parametrize("language", list(Language))
async def test_another_organisation_hears_the_words_of_the_tab(world: World, language: Language) -> None:
    explanation = explain(Finding(Code.TENANT_NOT_ALLOWED), language)
    foreign = {"id": ANNA.object_id, "conversationType": "personal", "tenantId": STRANGER}
    changes = {"from": sender(), "conversation": foreign, "channelData": {"tenant": {"id": STRANGER}}}
    said = await hears(world, activity(world, locale=language, **changes))
    assert explanation.title in said and explanation.detail in said and explanation.cure in said
    assert not stored(world, STRANGER)


async def test_in_a_group_nothing_is_kept_either(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    for kind in ("groupChat", "channel", "", "something new"):
        group = {"id": ANNA.object_id, "conversationType": kind, "tenantId": TENANT_ID}
        assert await post(world, activity(world, conversation=group, **{"from": sender()}), token) == 201
        assert "I only work in a personal chat" in (await world.chat(ANNA))[-1]["text"]
    assert not stored(world, STRANGER)


async def test_a_button_in_a_chat_of_two_people_does_nothing(world: World) -> None:
    """Teams calls that chat personal too, and somebody may post a card there that looks like the bot's."""
    chat = {
        "id": "19:aaaa_bbbb@unq.gbl.spaces",
        "conversationType": "personal",
        "tenantId": TENANT_ID,
    }
    value = {"action": {"type": "Action.Execute", "verb": "status", "data": {}}}
    answer = await world.say(ANNA, type="invoke", name="adaptiveCard/action", value=value, conversation=chat)
    assert "I only work in a personal chat" in answer["body"]["value"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("adaptiveCard/action", {"action": {"type": "Action.Execute", "verb": "status", "data": {}}}),
        ("task/fetch", {"data": {}}),
        ("task/submit", {"data": {}}),
    ],
)
async def test_a_button_is_refused_in_its_own_form(world: World, name: str, value: dict[str, Any]) -> None:
    before = len(await world.chat(ANNA))
    answer = await world.say(ANNA, type="invoke", name=name, value=value, **{"from": {"id": "29:stranger"}})
    assert answer["status"] == 200
    if name == "adaptiveCard/action":
        assert answer["body"]["type"] == "application/vnd.microsoft.activity.message"
        said = answer["body"]["value"]
    else:
        assert answer["body"]["task"]["type"] == "message"
        said = answer["body"]["task"]["value"]
    assert said.startswith("I cannot tell who you are")
    assert len(await world.chat(ANNA)) == before


async def test_a_stranger_who_removes_the_app_hears_nothing(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    body = activity(world, type="installationUpdate", action="remove", **{"from": {"id": "29:stranger"}})
    assert await post(world, body, token) == 201
    assert len(await world.chat(ANNA)) == before


async def test_bots_do_not_talk_with_one_another(world: World) -> None:
    token = await world.sign(claims(world), "channel")
    before = len(await world.chat(ANNA))
    assert await post(world, activity(world, **{"from": {"id": f"28:{STRANGER}"}}), token) == 201
    assert len(await world.chat(ANNA)) == before


@pytest.mark.parametrize(("channel", "status"), [("webchat", 403), ("directline", 403), ("MSTEAMS", 401)])
async def test_other_channels_are_refused_though_the_key_speaks_for_them(
    world: World, channel: str, status: int
) -> None:
    """In some of the channels that Microsoft's keys speak for, the client says who it is."""
    token = await world.sign(claims(world), "channel")
    assert await post(world, activity(world, channelId=channel), token) == status


async def test_the_token_goes_to_no_other_host(world: World) -> None:
    before = len(world.log_entries())
    for url in (
        "https://evil.example.com/",
        "http://smba.trafficmanager.net/de/",
        "https://x.trafficmanager.net/",
    ):
        token = await world.sign(claims(world, serviceurl=url), "channel")
        assert await post(world, activity(world, serviceUrl=url), token) == 403
    warnings = [
        entry for entry in world.log_entries()[before:] if "PBX_TEAMS_CHANNEL_HOSTS" in entry["message"]
    ]
    assert len(warnings) == 3


@pytest.mark.parametrize(
    ("url", "is_known"),
    [
        *((f"https://{host}/de/", True) for host in sorted(MICROSOFT_HOSTS)),
        ("https://SMBA.TrafficManager.net/de/", True),
        ("https://smba.trafficmanager.net:443/de", True),
        ("https://smba.trafficmanager.net:8443/de", False),
        ("https://smba.trafficmanager.net.evil.example.com/", False),
        ("https://evil.example.com#smba.trafficmanager.net", False),
        ("https://smba.trafficmanager.net@evil.example.com/", False),
        ("https://evil.example.com@smba.trafficmanager.net/", False),
        ("https://smba.trafficmanager.net\\@evil.example.com/", False),
        ("https://smba.trafficmanager.net/?x=1", False),
        ("http://smba.trafficmanager.net/", False),
        ("//smba.trafficmanager.net/", False),
        ("https://[::1", False),
        ("https://smba.trafficmanager.net:99999/", False),
        ("http://127.0.0.1:4000", False),
        ("", False),
    ],
)
def test_hosts_of_the_channel(url: str, is_known: bool) -> None:
    assert ChannelHosts().allows(url) == is_known


@pytest.mark.parametrize(
    ("url", "is_known"),
    [
        ("https://botapi.example.cn/teams", True),
        ("http://botapi.example.cn/teams", False),
        ("https://botapi.example.cn:8443/teams", False),
        ("https://gateway.example.com:8443/teams", True),
        ("https://gateway.example.com/teams", False),
        ("http://127.0.0.1:4000", True),
        ("http://localhost:4000", False),
        ("https://smba.trafficmanager.net/de/", True),
    ],
)
def test_further_hosts_by_setting(url: str, is_known: bool) -> None:
    hosts = ChannelHosts(frozenset(("botapi.example.cn", "gateway.example.com:8443", "127.0.0.1")))
    assert hosts.allows(url) == is_known


@pytest.mark.parametrize(
    "change", [lambda url: url + "/", lambda url: url.replace("http", "HTTP"), str.upper]
)
async def test_the_same_service_address_in_another_spelling(world: World, change: Any) -> None:
    token = await world.sign(claims(world), "channel")
    url = activity(world)["serviceUrl"]
    assert await post(world, activity(world, serviceUrl=change(url)), token) == 201
    assert await post(world, activity(world, serviceUrl=url + "/other"), token) == 401


async def test_upper_case_ids_are_the_same_person(world: World) -> None:
    await world.client(ANNA).sign_in(world.pbx_name, world.key)
    token = await world.sign(claims(world), "channel")
    account = {"id": "29:x", "aadObjectId": ANNA.object_id.upper()}
    tenant = {"tenant": {"id": TENANT_ID.upper()}}
    body = activity(world, id="upper-case", channelData=tenant, **{"from": account})
    assert await post(world, body, token) == 201
    assert "Anna Berger (1001)" in words((await world.chat(ANNA))[-1]["attachments"][0]["content"])
    assert "Anna Berger (1001)" in words(await ask(world, ANNA, "status"))
