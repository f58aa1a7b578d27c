"""The message extension: a search for numbers next to the compose box, and "Call the number in this message".

It works in every chat, and only its user sees the answers. The bot writes nothing into that chat and does not store its
address. Message formats:
https://learn.microsoft.com/microsoftteams/platform/messaging-extensions/how-to/search-commands/respond-to-search-command
and …/action-commands/respond-to-task-module-submit.
"""

import asyncio
import html
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from bot.activity import FIND_NUMBERS, OPEN_ACTION, SUBMIT_ACTION
from bot.cards.parts import CONTENT_TYPE, Card, CardReader, finding, text
from bot.cards.phone import found_words
from bot.cards.plain import Plain, plain
from bot.numbers_in_text import find_numbers
from bot.phone_words import is_number
from bot.request import BotRequest
from core.diagnosis.codes import Code
from core.diagnosis.finding import RefusedError, explain
from core.phone.telephone import Telephone
from wire.deep_link import deep_link
from wire.phone import Found

INVOKES: Final = frozenset((FIND_NUMBERS, OPEN_ACTION, SUBMIT_ACTION))
QUERY_SECONDS: Final = 4.0
"""Time-out of a search. Teams waits about five seconds."""
ANSWER_SECONDS: Final = 8.0
MAX_NUMBER: Final = 100
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
Body = dict[str, Any]


class Extension:
    def __init__(self, telephone: Telephone, teams_app_id: str) -> None:
        self._telephone = telephone
        self._teams_app_id = teams_app_id

    async def answer(self, name: str, value: Mapping[str, Any], request: BotRequest) -> Body:
        """Return the body of the response to one of `INVOKES`."""
        reader = request.reader
        try:
            async with asyncio.timeout(QUERY_SECONDS if name == FIND_NUMBERS else ANSWER_SECONDS):
                if name == FIND_NUMBERS:
                    return await self._search(value, request)
                if name == OPEN_ACTION:
                    return _dialog(reader, self._question(value, reader))
                return await self._call(request)
        except TimeoutError:
            word = "phone.unknown-call" if name == SUBMIT_ACTION else "phone.unknown"
            return refusal(name, reader.t(word))

    async def _search(self, value: Mapping[str, Any], request: BotRequest) -> Body:
        typed = value["search"]
        if not typed:
            return _results([])
        try:
            answer = await self._telephone.search(request.user, typed)
        except RefusedError as refused:
            explanation = explain(refused.finding, request.reader.language)
            return refusal(FIND_NUMBERS, f"{explanation.title}. {explanation.cure}")
        return _results([self._result(one, request.reader) for one in answer.found if one.number])

    def _result(self, found: Found, reader: CardReader) -> Body:
        """Return a card that the person may post in a chat. Its button opens the reader's own tab, which asks first."""
        card = {
            "type": "AdaptiveCard",
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "version": "1.5",
            "lang": reader.language,
            "body": [text(found_words(found))],
            "actions": [
                {
                    "type": "Action.OpenUrl",
                    "title": reader.title("action.call"),
                    "url": self._dial_url(found.number),
                }
            ],
        }
        shown = ", ".join(part for part in (found.detail, found.number) if part)
        return {
            "contentType": CONTENT_TYPE,
            "content": card,
            "preview": {
                "contentType": "application/vnd.microsoft.card.thumbnail",
                "content": {"title": _escaped(found.name or found.number), "text": _escaped(shown)},
            },
        }

    def _dial_url(self, number: str) -> str:
        """Return a deep link to the tab, which asks before it dials."""
        return deep_link(self._teams_app_id, f"dial:{number}")

    def _question(self, value: Mapping[str, Any], reader: CardReader) -> Card:
        numbers = find_numbers(value["content"])
        if not numbers:
            return _ask(reader, "", text(reader.t("phone.none-in-message")))
        if len(numbers) == 1:
            return _card(
                reader, [text(plain(numbers[0]), weight="bolder")], {"number": numbers[0], "id": _new_id()}
            )
        choices = [{"title": plain(number), "value": number} for number in numbers]
        choose = {
            "type": "Input.ChoiceSet",
            "id": "number",
            "label": reader.title("phone.choose"),
            "choices": choices,
            "value": numbers[0],
        }
        return _card(reader, [choose], {"id": _new_id()})

    async def _call(self, request: BotRequest) -> Body:
        reader, number, call_id = (
            request.reader,
            request.get_text("number", MAX_NUMBER),
            request.get_text("id", 36),
        )
        if not is_number(number):
            return _dialog(reader, _ask(reader, number, text(reader.t("phone.no-number"))))
        try:
            dialled = await self._telephone.dial(
                request.user,
                number,
                call_id if _GUID.fullmatch(call_id) else _new_id(),
                is_confirmed=request.data.get("confirmed") is True,
            )
        except RefusedError as refused:
            found = refused.finding
            if found.code is Code.NUMBER_NEEDS_CONFIRMATION:
                data = {"number": number, "id": call_id, "confirmed": True}
                return _dialog(reader, _card(reader, [finding(reader, found)], data))
            if found.code is Code.OUTCOME_UNKNOWN:
                return refusal(SUBMIT_ACTION, reader.t("phone.unknown-call"))
            explanation = explain(found, reader.language)
            return refusal(SUBMIT_ACTION, f"{explanation.title}. {explanation.detail} {explanation.cure}")
        phone = dialled.phone or reader.t("phone.your-phone")
        return refusal(SUBMIT_ACTION, reader.t("phone.dialling.text", phone=phone, who=dialled.number))


def refusal(name: str, words: str) -> Body:
    """Return the body of a response to one of `INVOKES` that only shows a text."""
    if name == FIND_NUMBERS:
        return {"composeExtension": {"type": "message", "text": words}}
    return {"task": {"type": "message", "value": words}}


def _results(found: list[Body]) -> Body:
    return {"composeExtension": {"type": "result", "attachmentLayout": "list", "attachments": found}}


def _dialog(reader: CardReader, card: Card) -> Body:
    value = {
        "title": reader.title("phone.call-number"),
        "height": "small",
        "width": "small",
        "card": {"contentType": CONTENT_TYPE, "content": card},
    }
    return {"task": {"type": "continue", "value": value}}


def _ask(reader: CardReader, typed: str, note: Card) -> Card:
    field = {
        "type": "Input.Text",
        "id": "number",
        "label": reader.title("phone.number"),
        "value": typed,
        "maxLength": MAX_NUMBER,
    }
    return _card(reader, [note, field], {"id": _new_id()})


def _card(reader: CardReader, body: list[Card], data: Mapping[str, Any]) -> Card:
    """Return the card of a dialog, with an `Action.Submit` to call."""
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.5",
        "lang": reader.language,
        "body": body,
        "actions": [
            {
                "type": "Action.Submit",
                "title": reader.title("action.call"),
                "data": {**data, "language": reader.language},
            }
        ],
    }


def _escaped(outside: str) -> Plain:
    """Escape a text for a preview, because clients interpret it as HTML."""
    return Plain(html.escape(plain(outside), quote=False))


def _new_id() -> str:
    return str(uuid.uuid4())
