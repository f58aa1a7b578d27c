"""Whatever names, reasons and devices are called: cards show it as it is, and it never becomes anything else."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from bot.cards import audio, licences, notices, person, phone
from bot.cards.parts import WORDS, Card, CardReader, card_time, finding, message, text
from bot.cards.plain import MAX_OUTSIDE, Plain, plain
from bot.commands import Command
from core.audio import wording
from core.audio.advice import DeviceAdvice, DeviceChange
from core.audio.device import Kind
from core.audio.evidence import Program
from core.audio.finding import AudioVerdict, Why
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.language import Language, load
from core.licensing.overview import HoldersPage, Place
from core.licensing.rules import LicenceKind
from core.licensing.session import EndCause, Session, SessionPerson
from core.signin.preferences import Preferences
from core.store.audit import Actor
from core.store.timestamps import from_ms
from wire.phone import (
    Access,
    CallState,
    Direction,
    Found,
    HistoryEntry,
    LineState,
    PhoneCall,
    PhoneLine,
    Redirect,
    RedirectTarget,
    RedirectTrigger,
    Source,
)

LINK = "[Sign in here](https://evil.example.com)"
HOSTILE = [
    LINK,
    "![x](https://evil.example.com/x.png)",
    "**Peter** _Müller_ `x` ~~y~~",
    "# Heading",
    "- Item\r- Item",
    "1. One\n2. Two",
    "<b>x</b> &lt;b&gt; &#91;x&#93;(https://evil.example.com)",
    "<https://evil.example.com>",
    "\\[x\\](https://evil.example.com)",
    "{{DATE(2027-01-15T08:00:00Z,SHORT)}} {{{TIME(2027-01-15T08:00:00Z)}}}",
    "{name} {actor} {0} ${x}",
    "<at>Clara Vogt</at>",
    "\u202eagne\u2066x",
    "a\u0000b\u0007c\u2028d",
    "| a | b |\n|---|---|",
]
SHOWN_AS_MARKDOWN = {
    "TextBlock": ("text",),
    "Fact": ("title", "value"),
    "Input.Text": ("label", "placeholder"),
}
SHOWN_AS_MARKDOWN |= {"Input.ChoiceSet": ("label", "placeholder"), "Input.Toggle": ("title", "label")}
SHOWN_AS_MARKDOWN |= {"Input.Time": ("label",), "Action.Execute": ("title",), "Action.Submit": ("title",)}
SHOWN_AS_MARKDOWN |= {"Action.OpenUrl": ("title",)}
OURS = {
    words
    for package in ("bot", "core.audio")
    for language in Language
    for words in load(package, language).values()
    if "{" not in words
}
NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


def elements(node: Any) -> Iterator[dict[str, Any]]:
    """Everything with a type, at any depth; what a button sends is not shown."""
    if isinstance(node, dict):
        if "type" in node:
            yield node
        for name, inner in node.items():
            if name != "data":
                yield from elements(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from elements(inner)


def texts(card: Card) -> list[str]:
    return [element["text"] for element in elements(card) if element["type"] == "TextRun"]


def check(card: Card) -> None:
    """Nothing from outside where clients read Markdown, and nothing in it that a client calls as a function."""
    for element in elements(card):
        for member in SHOWN_AS_MARKDOWN.get(element["type"], ()):
            if member in element:
                assert element[member] in OURS, f"{element['type']}.{member} is read as Markdown"
        if element["type"] == "Input.ChoiceSet":
            assert element.get("style", "compact") == "compact", "only a list shows its choices as plain text"
    assert "FactSet" not in {element["type"] for element in elements(card)}
    known = r"\{\{(DATE\([0-9TZ:-]{20},SHORT\)|TIME\([0-9TZ:-]{20}\))\}\}"
    for shown in texts(card):
        assert "{{" not in re.sub(known, "", shown)
        assert not re.search(r"[\u0000-\u0009\u000b-\u001f\u202a-\u202e\u2066-\u2069]", shown)
    assert message(card).summary in OURS
    json.dumps(card).encode()


def reader(language: Language) -> CardReader:
    return CardReader(language, "29:x", *["https://teams.example.com"] * 3)


def session(name: str) -> Session:
    who = SessionPerson(7, name, name, name, is_administrator=True)
    user = TeamsUser("t", "o", name, name)
    return Session(
        id="s",
        teams_user=user,
        pbx_id="p",
        person=who,
        kind=LicenceKind.FL,
        pool_id="pool",
        seat_number=1,
        proof="password",
        started_at=NOON,
        licence_since=NOON,
        last_seen_at=NOON,  # type: ignore[arg-type]
    )


def summarise(name: str) -> wording.Summary:
    changes = (DeviceChange(Program.TEAMS, Kind.OUTPUT, name),)
    return wording.Summary(Why.SHARED, name, name, name, name, "", changes)


def cards_of(name: str, to: CardReader) -> Iterator[Card]:
    """Every card that the bot can show, with this text wherever text comes from outside."""
    held = session(name)
    pbx = SimpleNamespace(name=name)
    found = Finding(Code.LINK_DOWN, {"pbx_name": name, "since": NOON, "actor": name})
    connection = SimpleNamespace(pbx=pbx, blocker=found, warning=found)
    state: Any = SimpleNamespace(
        session=held,
        user=TeamsUser("t", "o"),
        connection=connection,
        ends_by=NOON,
        session_ends=NOON,
        seats_used=1,
        seats_total=2,
        ending=(
            name,
            SimpleNamespace(cause=EndCause.REVOKED, actor=Actor.person("t", "o", 1, name), reason=name),
        ),
        place=Place("p", name, 1, NOON, None),
        offers=[SimpleNamespace(pbx_name=name)],
    )
    out: Any = SimpleNamespace(**(vars(state) | {"session": None, "connection": None}))
    offered: Any = SimpleNamespace(**(vars(out) | {"place": Place("p", name, 1, NOON, NOON), "offers": []}))
    for one in (state, out, offered):
        yield person.status_card(one, to)
        yield person.licence_card(one, to)
        yield person.help_card(one, to)
        yield person.help_card(one, to, welcome=True)
    yield person.confirm_sign_out_card(to)
    pools = [SimpleNamespace(used=1, seats=2, free=1, licensee=name)]
    for shown in ([held, held], []):
        page = HoldersPage(shown, 30)
        view: Any = SimpleNamespace(page=page, pools=pools, connection=connection, waiting=3)
        revoked = to.t("licences.revoked", name=name, login=name)
        yield licences.licences_card(view, name, to, finding(to, found), text(revoked))
    yield licences.confirm_card(held, name, to)
    yield licences.refused_card(found, to)
    detail = dict.fromkeys(("pbx_name", "pbx_user", "actor", "reason", "serial"), name) | {
        "until": 1,
        "seats": 5,
    }
    for kind in sorted(notices.KINDS):
        yield notices.notice_card(kind, detail, to)
        yield notices.notice_card(kind, detail, to, out)
    for saved in (True, False):
        yield notices.settings_card(Preferences(time_zone=name), to, administrator=True, saved=saved)
    yield audio.audio_notice_card(summarise(name).as_json(), to)
    yield audio.audio_quiet_card(to, name)
    yield audio.audio_quiet_card(to, None)


def cards_of_the_telephone(name: str, to: CardReader) -> Iterator[Card]:
    for status in phone.CallStatus:
        for is_outgoing in (True, False):
            shown = phone.CallShown(
                call="c",
                status=status,
                is_outgoing=is_outgoing,
                name=name,
                number=name,
                group=name,
                phone=name,
                at=1,
            )
            yield phone.call_card(shown, to, phone.Colleague(name))
    call = PhoneCall(
        call_id="c",
        state=CallState.RINGING,
        direction=Direction.IN,
        number=name,
        name=name,
        group=name,
        began_at=NOON,
    )
    yield phone.call_card(phone.CallShown.of(call, with_numbers=True), to)
    yield phone.hang_up_card([call, call], to)
    found = [Found(source=Source.CONTACT, name=name, number=name, detail=name)] * 2
    yield phone.choices_card(name, found, to)
    yield phone.choices_card(name, [], to)
    refusal = Finding(Code.NUMBER_NEEDS_CONFIRMATION, {"number": name, "pbx_name": name}, "premium")
    yield phone.confirm_card(refusal, name, name, "c", to)
    yield phone.refused_card(refusal, to)
    yield phone.ask_card(to)
    yield phone.unknown_card(to, Command.CALL)
    entry = HistoryEntry(
        entry_id="e",
        direction=Direction.IN,
        is_answered=False,
        number=name,
        name=name,
        began_at=NOON,
        seconds=1,
        group=name,
    )
    yield phone.calls_card([entry, entry], to)
    redirect = Redirect(
        redirect_id="r",
        trigger=RedirectTrigger.ALWAYS,
        is_on=True,
        target=RedirectTarget.NUMBER,
        number=name,
        of_number=name,
        access=Access.CHANGE,
    )
    line = PhoneLine(
        state=LineState.UP, features={}, calls=[], phones=[], do_not_disturb=True, redirects=[redirect]
    )
    yield phone.switches_card(line, Command.REDIRECT, to)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", HOSTILE)
def test_no_card_makes_anything_of_what_comes_from_outside(name: str, language: Language) -> None:
    made = [*cards_of(name, reader(language)), *cards_of_the_telephone(name, reader(language))]
    assert len(made) >= 40
    for card in made:
        check(card)


def test_what_comes_from_outside_is_shown_as_it_is() -> None:
    to = reader(Language.EN)
    shown = [run for card in cards_of(LINK, to) for run in texts(card)]
    assert f"{LINK} ({LINK})" in shown
    assert f"{LINK} has ended your session at STARFACE {LINK} and revoked the licence." in shown
    assert f"Reason: {LINK}" in shown


@pytest.mark.parametrize("why", list(Why))
@pytest.mark.parametrize("language", list(Language))
def test_the_advisors_cards(why: Why, language: Language) -> None:
    told = wording.Summary(why, LINK, LINK, LINK, LINK, "", ())
    check(audio.audio_notice_card(told.as_json(), reader(language)))
    conclusion = SimpleNamespace(verdict=AudioVerdict.UNKNOWN, why=why, pairs=(), uses=())
    view: Any = SimpleNamespace(conclusion=conclusion, advice=DeviceAdvice((), ()))
    check(audio.audio_card(view, reader(language)))


def test_a_date_of_ours_stays_one_and_theirs_does_not() -> None:
    ours = card_time(from_ms(1_800_000_000_000))
    assert plain(ours) is ours
    to = reader(Language.EN)
    told = to.t("notice.seat-offered.text", pbx_name=str(ours), until=ours)
    assert told.count("{{DATE") == 1 and told.count("{\u2060{DATE") == 1


def test_long_text_is_cut() -> None:
    assert len(plain("x" * 50_000)) == MAX_OUTSIDE
    assert isinstance(plain("x"), Plain)


def test_words_without_placeholders_have_none() -> None:
    """`CardReader.title` fills no placeholders."""
    assert "{" not in WORDS.text(Language.DE, "licences.title")
