"""Cards of a person's phones and voicemail: iFMC phones, the primary phone, messages to play on the own phone."""

from collections.abc import Sequence
from typing import Any, Final

from bot.cards.parts import Card, CardReader, card, card_time, execute, facts, open_url, text
from bot.cards.plain import Plain, plain
from bot.commands import Command
from bot.phone_words import OFF, ON
from wire.phone import Access, Feature, Mobile, PhoneDevice, PhoneLine, Voicemail

VOICEMAILS_SHOWN: Final = 8


def mobiles_card(line: PhoneLine, reader: CardReader, *notes: Card) -> Card:
    """Return the iFMC phones, with a button for each that the person may change."""
    mobiles = line.mobiles or ()
    given = [(plain(one.number), _mobile_words(one, reader)) for one in mobiles]
    body = [*notes, *(facts(given) if given else [text(reader.t(_none(line, Feature.MOBILES, mobiles)))])]
    changeable = [one for one in mobiles if one.access is Access.CHANGE]
    actions: list[Card] = []
    if len(changeable) == 1:
        wanted = OFF if changeable[0].is_on else ON
        data = {"argument": wanted, "mobile": changeable[0].mobile_id}
        title = reader.title(f"action.mobile-{wanted}")
        actions.append(execute(reader=reader, command=Command.MOBILES, title=title, data=data))
    elif changeable:
        body.append(_choices("mobile", [(plain(one.number), one.mobile_id) for one in changeable], reader))
        actions += [
            execute(
                reader=reader,
                command=Command.MOBILES,
                title=reader.title(f"action.mobile-{wanted}"),
                data={"argument": wanted},
            )
            for wanted in (ON, OFF)
        ]
    return _card("phone.mobiles-title", body, actions, Command.MOBILES, reader)


def primary_phone_card(line: PhoneLine, reader: CardReader, *notes: Card) -> Card:
    """Return the person's phones, and the choice of the primary one if they may change it."""
    given = [(plain(one.name), _phone_words(one, reader)) for one in line.phones]
    body = [
        *notes,
        *(facts(given) if given else [text(reader.t(_none(line, Feature.PRIMARY_PHONE, line.phones)))]),
    ]
    actions: list[Card] = []
    others = [one for one in line.phones if not one.is_primary]
    access = line.features.get(Feature.PRIMARY_PHONE)
    if others and access is Access.CHANGE:
        body.append(_choices("phone", [(plain(one.name), one.phone_id) for one in others], reader))
        title = reader.title("action.primary-phone")
        actions.append(execute(reader=reader, command=Command.PRIMARY_PHONE, title=title))
    elif others:
        body.append(text(reader.t("phone.read-only")))
    return _card("phone.primary-title", body, actions, Command.PRIMARY_PHONE, reader)


def voicemail_card(messages: Sequence[Voicemail], line: PhoneLine, reader: CardReader) -> Card:
    """Return how many messages are new, the newest messages, and the choice of one to play on the own phone."""
    shown = messages[:VOICEMAILS_SHOWN]
    body: list[Card] = []
    if line.new_voicemails is not None:
        body.append(text(reader.t("phone.new-voicemails", count=line.new_voicemails)))
    given = [(card_time(one.began_at), _voicemail_words(one, reader)) for one in shown]
    body += facts(given) if given else [text(reader.t("phone.no-voicemails"))]
    actions: list[Card] = []
    if shown and line.features.get(Feature.VOICEMAIL) is Access.CHANGE:
        choices = [
            (plain(f"{number}. {_from(one, reader)}"), one.message_id) for number, one in enumerate(shown, 1)
        ]
        body.append(_choices("message", choices, reader))
        title = reader.title("action.play-voicemail")
        actions.append(execute(reader=reader, command=Command.VOICEMAIL_PLAY, title=title))
    elif shown:
        body.append(text(reader.t("phone.read-only")))
    return _card("phone.voicemail-title", body, actions, Command.VOICEMAIL, reader)


def not_offered_card(command: Command, title: str, word: str, reader: CardReader) -> Card:
    return _card(title, [text(reader.t(word))], [], command, reader)


def playing_card(reader: CardReader) -> Card:
    actions = [execute(reader, Command.VOICEMAIL, reader.title("action.voicemail"))]
    return _card("phone.voicemail-title", [text(reader.t("phone.plays"))], actions, Command.VOICEMAIL, reader)


def _card(title: str, body: list[Card], actions: list[Card], refresh: Command, reader: CardReader) -> Card:
    actions = [*actions, open_url(reader, reader.phone_url, "action.open-phone")]
    return card(reader=reader, title=reader.title(title), body=body, actions=actions, refresh=refresh)


def _choices(name: str, given: Sequence[tuple[Plain, str]], reader: CardReader) -> dict[str, Any]:
    choices = [{"title": title, "value": value} for title, value in given]
    return {
        "type": "Input.ChoiceSet",
        "id": name,
        "label": reader.title("phone.choose"),
        "choices": choices,
        "value": choices[0]["value"],
    }


def _none(line: PhoneLine, feature: Feature, found: Sequence[object]) -> str:
    is_offered = feature in line.features and not found
    return "phone.none-set-up" if is_offered else "phone.not-offered"


def _mobile_words(mobile: Mobile, reader: CardReader) -> Plain:
    state = reader.t(f"phone.{ON if mobile.is_on else OFF}")
    if mobile.access is Access.CHANGE:
        return state
    return plain(f"{state}. {reader.t('phone.read-only')}")


def _phone_words(phone: PhoneDevice, reader: CardReader) -> Plain:
    words = [reader.t("phone.is-primary")] if phone.is_primary else []
    if not phone.is_active:
        words.append(reader.t("phone.not-registered"))
    return plain(", ".join(words) or "–")


def _from(one: Voicemail, reader: CardReader) -> str:
    return ", ".join(part for part in (one.name, one.number) if part) or reader.t("phone.withheld")


def _voicemail_words(one: Voicemail, reader: CardReader) -> Plain:
    minutes, rest = divmod(one.seconds, 60)
    parts = [_from(one, reader), reader.t("phone.duration", minutes=minutes, seconds=f"{rest:02}")]
    if one.is_new:
        parts.append(reader.t("phone.is-new"))
    return plain(", ".join(parts))
