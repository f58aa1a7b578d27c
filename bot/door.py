"""Decides who may use the bot: the same people as the tab, in their personal chat. Nothing is stored about others."""

import re
from collections.abc import Collection
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from botbuilder.schema import Activity

from bot.cards.parts import WORDS
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, explain
from core.identity.teams_user import TeamsUser
from core.language import Language

CHANNEL: Final = "msteams"
"""On other channels the client itself states who it is:
https://learn.microsoft.com/azure/bot-service/bot-service-channels-reference
"""
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OF_A_BOT: Final = "28:"
_AMONG_PEOPLE: Final = "19:"
"""Prefix of the ids of chats between people, such as `19:…@unq.gbl.spaces` for two people:
https://learn.microsoft.com/graph/api/resources/chat. A chat with a bot has an id of another form. Teams calls both
"personal", and somebody could post a card that looks like the bot's in a chat between people.
"""


class Refusal(StrEnum):
    UNIDENTIFIED = "unidentified"
    """Teams does not state a Microsoft account."""
    TENANT_NOT_ALLOWED = "tenant-not-allowed"
    NOT_PERSONAL = "not-personal"
    """A chat between people, or a channel."""


def admit(
    activity: Activity, allowed_tenants: Collection[str], *, anywhere: bool = False
) -> TeamsUser | Refusal:
    """Return the sender of a validated activity, by tenant and object id as the channel states them, or a refusal.

    `anywhere` is for the message extension: it may be used in every chat, because only its user sees the answer.
    """
    tenant = _tenant_of(activity)
    object_id = activity.from_property.aad_object_id.lower()
    if not _GUID.fullmatch(tenant) or not _GUID.fullmatch(object_id):
        return Refusal.UNIDENTIFIED
    if allowed_tenants and tenant not in allowed_tenants:
        return Refusal.TENANT_NOT_ALLOWED
    if anywhere:
        return TeamsUser(tenant, object_id, activity.from_property.name)
    chat = activity.conversation
    if chat.conversation_type != "personal" or chat.is_group or chat.id.startswith(_AMONG_PEOPLE):
        return Refusal.NOT_PERSONAL
    return TeamsUser(tenant, object_id, activity.from_property.name)


def _tenant_of(activity: Activity) -> str:
    """Return the tenant id; empty if the channel states none, or two different ones."""
    stated = {activity.channel_data["tenant"]["id"].lower(), activity.conversation.tenant_id.lower()} - {""}
    return stated.pop() if len(stated) == 1 else ""


def is_bot(activity: Activity) -> bool:
    """Return whether the sender is a bot. Two bots could answer each other endlessly."""
    return bool(activity.from_property.id.startswith(_OF_A_BOT))


def explain_refusal(refusal: Refusal, language: Language, bot_id: str) -> str:
    """Return the text for a person who is refused."""
    if refusal is Refusal.TENANT_NOT_ALLOWED:
        explanation = explain(Finding(Code.TENANT_NOT_ALLOWED), language)
        return f"{explanation.title}. {explanation.detail} {explanation.cure}"
    if refusal is Refusal.UNIDENTIFIED:
        return WORDS.text(language, "unidentified.text")
    # Deep link to the personal chat (learn.microsoft.com, "Deep link to start a new chat").
    url = f"https://teams.microsoft.com/l/chat/0/0?users={quote(f'28:{bot_id}')}"
    return WORDS.text(language, "personal.text", url=url)
