"""iFMC phones, the primary phone and voicemail in the chat: what the PBX says after each change."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.cards import phone_settings as settings
from bot.cards.parts import CardReader
from core.language import Language
from tests.support.chat import card_title
from tests.support.telephone import DeskPhone, ask, press, words
from tests.support.world import ANNA, World
from wire.phone import Access, Feature, LineState, Mobile, PhoneDevice, PhoneLine, Voicemail

OURS = (Feature.MOBILES, Feature.PRIMARY_PHONE, Feature.VOICEMAIL)


@pytest.fixture
async def phone(world: World) -> Any:
    phone = await DeskPhone(world, ANNA).begin()
    yield phone
    await phone.end_calls()


async def test_an_ifmc_phone_is_switched_by_words_and_by_button(world: World, phone: DeskPhone) -> None:
    async def is_on() -> bool:
        line = (await phone.client.call("GET", "phone")).body["line"]
        return bool(line["mobiles"][0]["isOn"])

    card = await ask(world, "ifmc on")
    assert card_title(card) == "iFMC phones" and await is_on()
    card = await press(world, card, "Let it ring no longer")
    assert "off" in words(card) and not await is_on()
    assert card_title(await ask(world, "iFMC an", "de-DE")) == "iFMC-Telefone"
    assert await is_on()
    await ask(world, "ifmc off")
    assert not await is_on()


async def test_the_primary_phone_is_chosen(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "primary phone")
    choices = {one["value"] for part in card["body"] for one in part.get("choices", ())}
    assert choices == {"SIP/app-1001"} and "primary phone" in words(card)
    card = await press(world, card, "Make it the primary phone", phone="SIP/app-1001")
    shown = (await phone.client.call("GET", "phone")).body["line"]["phones"]
    assert [one["phoneId"] for one in shown if one["isPrimary"]] == ["SIP/app-1001"]
    unknown = await press(world, card, "Make it the primary phone", phone="SIP/of-somebody-else")
    assert unknown["body"] == card["body"], "not a phone of this person"
    await press(world, card, "Make it the primary phone", phone="SIP/snom-1001")


async def test_a_voicemail_is_played_on_the_own_phone(world: World, phone: DeskPhone) -> None:
    card = await ask(world, "Voicemail", "de-DE")
    assert card_title(card) == "Voicemail" and "Neue Nachrichten" in words(card)
    (choose,) = (part for part in card["body"] if part["type"] == "Input.ChoiceSet")
    assert await phone.calls() == []
    playing = await press(world, card, "Auf meinem Telefon abspielen", message=choose["value"])
    assert "Heben Sie ab" in words(playing)
    assert await phone.calls()
    again = await press(world, card, "Auf meinem Telefon abspielen", message="no such message")
    assert card_title(again) == "Voicemail", "the list is shown instead"


def _line(access: Access | None) -> PhoneLine:
    features = {} if access is None else dict.fromkeys(OURS, access)
    phones = [
        PhoneDevice(phone_id=name, name=name, is_primary=name == "a", is_active=name == "a") for name in "ab"
    ]
    mobile = Mobile(mobile_id="m", number="0171 1", is_on=True, access=access or Access.READ_ONLY)
    return PhoneLine(
        state=LineState.UP,
        features=features,
        calls=[],
        phones=phones if access else [],
        mobiles=[mobile] if access else None,
        new_voicemails=1,
    )


MESSAGE = Voicemail(
    message_id="v1",
    mailbox="",
    number="0171 <b>\u202e",
    name="*Zoë* [x](y) {{DATE(1)}} \U0001f4de",
    began_at=datetime(2026, 1, 2, tzinfo=UTC),
    seconds=61,
    is_new=True,
)


@pytest.mark.parametrize("language", list(Language))
def test_what_a_person_may_not_change_is_shown_as_such(language: Language) -> None:
    reader = CardReader(language, "29:x", *["https://teams.example.com"] * 3)
    for access, words_shown, has_act in (
        (Access.CHANGE, None, True),
        (Access.READ_ONLY, "phone.read-only", False),
        (None, "phone.not-offered", False),
    ):
        line = _line(access)
        made = [settings.mobiles_card(line, reader), settings.primary_phone_card(line, reader)]
        if access is not None:
            made.append(settings.voicemail_card([MESSAGE], line, reader))
        for card in made:
            acts = [one for one in card["actions"] if one["type"] == "Action.Execute"]
            assert bool(acts) is has_act, card
            assert words_shown is None or str(reader.t(words_shown)) in words(card)


def test_a_name_from_outside_is_shown_literally() -> None:
    reader = CardReader(Language.EN, "29:x", *["https://teams.example.com"] * 3)
    card = settings.voicemail_card([MESSAGE], _line(Access.CHANGE), reader)
    assert "{{DATE(1)" not in words(card) and "\u202e" not in words(card)
    blocks = [part for part in card["body"] if part["type"] == "TextBlock"]
    assert len(blocks) == 1 and "Zo" not in blocks[0]["text"], "Markdown is interpreted there"
    assert "\U0001f4de" in words(card)
