"""Handles turns: answers messages, buttons and dialogs with the present state of the person who asks."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from botbuilder.core import InvokeResponse, MessageFactory, TurnContext
from botbuilder.core.teams import TeamsActivityHandler
from botbuilder.schema import Activity, ActivityTypes
from botbuilder.schema.teams import (
    TaskModuleContinueResponse,
    TaskModuleMessageResponse,
    TaskModuleRequest,
    TaskModuleResponse,
    TaskModuleTaskInfo,
)

from bot import extension
from bot.answers import Answers
from bot.calls import CallCards
from bot.cards import parts as cards
from bot.cards.phone import followed_call
from bot.channel import DeliveryError, DeliveryOutcome
from bot.commands import Command, ParsedCommand, understand
from bot.deliveries import Deliveries, Delivery
from bot.door import Refusal, admit, explain_refusal
from bot.phone import id_of_call
from bot.request import BotRequest
from bot.settings import BotSettings
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.request import REQUEST_ID
from core.signin.signin import SignIn
from core.store.conversations import ClosedReason, Conversations
from core.store.conversations import Conversation as StoredConversation

logger = logging.getLogger(__name__)

DIALOG_WIDTH, DIALOG_HEIGHT = 520, 640
TURN_SECONDS: Final = 14.0
"""Time-out of a turn. After 15 s the channel delivers the activity again."""
_ANSWERED_ONCE: Final = (ActivityTypes.message, ActivityTypes.installation_update)
"""Types that are answered once, however often the channel delivers them. An invoke gets an answer each time."""
_ADD, _REMOVE = "add", "remove"
_WITH_EFFECT: Final = frozenset(
    (
        Command.SIGN_OUT,
        Command.CALL,
        Command.HANG_UP,
        Command.DO_NOT_DISTURB,
        Command.REDIRECT,
        Command.MOBILES,
    )
)
"""Commands that change something when they arrive as a message. Buttons are invokes, which are answered each time."""
_USER: Final = "user"
_PARSED: Final = "said"
ZONE_SECONDS: Final = 600.0
"""How long a person's time zone is not compared with the stored one again."""
MAX_ZONES: Final = 20_000
"""Number of people whose time zone is cached."""


class TurnHandler(TeamsActivityHandler):
    def __init__(
        self,
        settings: BotSettings,
        answers: Answers,
        sign_in: SignIn,
        conversations: Conversations,
        deliveries: Deliveries,
        call_cards: CallCards,
        message_extension: extension.Extension,
    ) -> None:
        super().__init__()
        self._extension = message_extension
        self._call_cards = call_cards
        self._deliveries = deliveries
        self._zones: dict[tuple[str, str], tuple[str, float]] = {}
        """Maps a person to the time zone seen last and the loop's time until which it needs no further check."""
        self._settings = settings
        self._answers = answers
        self._sign_in = sign_in
        self._conversations = conversations

    async def on_turn(self, turn_context: TurnContext) -> None:
        """Handle a turn. Raises `DeliveryError` if an answer was not delivered; other errors are logged and answered."""
        activity = turn_context.activity
        is_extension = activity.type == ActivityTypes.invoke and activity.name in extension.INVOKES
        user = admit(activity, self._settings.allowed_tenants, anywhere=is_extension)
        if isinstance(user, Refusal):
            logger.info("not let in", extra={"reason": user, "tenant": activity.conversation.tenant_id})
            if activity.action != _REMOVE:
                words = explain_refusal(user, _language(turn_context), self._settings.app_id)
                await self._send_text(turn_context, words, markdown=user is Refusal.NOT_PERSONAL)
            return
        try:
            # The bot cannot write to the chat in which the extension is used, so its address is not stored.
            await (self._extend(turn_context, user) if is_extension else self._turn(turn_context, user))
        except DeliveryError:
            raise
        except Exception:
            logger.exception("turn failed")
            words = cards.WORDS.text(_language(turn_context), "error.text", request_id=REQUEST_ID.get())
            await self._send_text(turn_context, words)

    async def _extend(self, turn_context: TurnContext, user: TeamsUser) -> None:
        """Answer a use of the message extension."""
        activity, value = turn_context.activity, turn_context.activity.value
        data = value.get("data") or {}
        reader = self._answers.reader(_language(turn_context, data), activity.from_property.id)
        body = await self._extension.answer(activity.name, value, BotRequest(user, reader, data))
        await self._respond(turn_context, body)

    async def _turn(self, turn_context: TurnContext, user: TeamsUser) -> None:
        activity = turn_context.activity
        if activity.type == ActivityTypes.installation_update and activity.action != _ADD:
            if activity.action == _REMOVE:
                await self._conversations.close(*user.key, ClosedReason.REMOVED)
            return
        parsed = _parse_command(activity)
        turn_context.turn_state.update({_USER: user, _PARSED: parsed})
        stored = StoredConversation(reference_of(activity), activity.locale or "")
        if activity.type not in _ANSWERED_ONCE or not activity.id:
            await self._deliveries.store_conversation(user.key, stored)
            await self._handle(turn_context, user)
            return
        has_effect = parsed.command in _WITH_EFFECT
        delivery = await self._deliveries.begin(user.key, stored, activity.id, has_effect=has_effect)
        if delivery is None:
            logger.info("activity delivered again", extra={"activity": activity.id})
            return
        await self._answer_once(turn_context, user, delivery)

    async def _answer_once(self, turn_context: TurnContext, user: TeamsUser, delivery: Delivery) -> None:
        try:
            await self._handle(turn_context, user)
        except BaseException as fault:
            if not isinstance(fault, DeliveryError) or fault.outcome is not DeliveryOutcome.REFUSED:
                await asyncio.shield(delivery.release())
                raise
        delivery.mark_answered()

    async def _handle(self, turn_context: TurnContext, user: TeamsUser) -> None:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._store_time_zone(user, turn_context.activity.local_timezone)
                await super().on_turn(turn_context)
        except DeliveryError as fault:
            if fault.outcome is DeliveryOutcome.REFUSED:
                # The channel would refuse it again.
                logger.warning("answer refused by the channel", extra={"reason": str(fault)})
                if fault.closed is not None:
                    await self._conversations.close(*user.key, fault.closed)
            raise

    async def _store_time_zone(self, user: TeamsUser, zone: str) -> None:
        """Store the person's time zone if it is new, or if it was last stored `ZONE_SECONDS` ago."""
        if not zone:
            return
        time = asyncio.get_running_loop().time()
        seen, until = self._zones.pop(user.key, ("", 0.0))
        if seen != zone or until <= time:
            await self._sign_in.set_time_zone(user, zone)
            until = time + ZONE_SECONDS
        while len(self._zones) >= MAX_ZONES:
            del self._zones[next(iter(self._zones))]
        self._zones[user.key] = (zone, until)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        parsed: ParsedCommand = turn_context.turn_state[_PARSED]
        language = parsed.language or _language(turn_context, turn_context.activity.value)
        command = parsed.command
        note = ""
        if command is None:
            note = cards.WORDS.text(language, "unknown.text")
        elif command is Command.SIGN_OUT and not parsed.is_exact:
            command = Command.SIGN_OUT_ASK
        data = {"argument": parsed.argument}
        if turn_context.activity.id:
            user: TeamsUser = turn_context.turn_state[_USER]
            data["id"] = id_of_call(user.key, turn_context.activity.id)
        await self._answer(
            command=command, turn_context=turn_context, language=language, note=note, data=data
        )

    async def on_installation_update_add(self, turn_context: TurnContext) -> None:
        await self._answer(Command.WELCOME, turn_context, _language(turn_context))

    async def on_adaptive_card_invoke(self, turn_context: TurnContext, invoke_value: Any) -> dict[str, Any]:
        """Answer a button of a card, or a client that refreshes a card, with a new card that replaces the old one."""
        action = invoke_value.action  # the SDK hands it over as a plain dict
        data = action.get("data") or {}
        command = next((command for command in Command if command.value == action["verb"]), None)
        language = _language(turn_context, data)
        card = await self._card(command=command, turn_context=turn_context, language=language, data=data)
        self._follow(
            card=card,
            turn_context=turn_context,
            language=language,
            activity_id=turn_context.activity.reply_to_id,
        )
        return {"statusCode": 200, "type": cards.CONTENT_TYPE, "value": card}

    async def on_teams_task_module_fetch(
        self, turn_context: TurnContext, task_module_request: TaskModuleRequest
    ) -> TaskModuleResponse:
        """Open the tab's sign-in page as a dialog."""
        language = _language(turn_context, task_module_request.data)
        url = self._settings.tab_url + "?" + urlencode({"view": "sign-in", "dialog": "1"})
        task = TaskModuleTaskInfo(
            title=cards.WORDS.text(language, "sign-in.dialog-title"),
            url=url,
            fallback_url=url,
            width=DIALOG_WIDTH,
            height=DIALOG_HEIGHT,
        )
        return TaskModuleResponse(task=TaskModuleContinueResponse(value=task))

    async def on_teams_task_module_submit(
        self, turn_context: TurnContext, task_module_request: TaskModuleRequest
    ) -> TaskModuleResponse | None:
        """Send the present state after the sign-in dialog has closed. What the dialog submits is not used."""
        language = _language(turn_context, task_module_request.data)
        try:
            await self._answer(Command.STATUS, turn_context, language)
        except (
            DeliveryError
        ) as fault:  # the sign-in itself succeeded, so the dialog must not report a failure
            logger.warning("state not shown after a dialog", extra={"reason": str(fault)})
        return None

    async def _answer(
        self,
        command: Command | None,
        turn_context: TurnContext,
        language: Language,
        note: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Send the answer in one message, so that it arrives completely or not at all."""
        card = await self._card(
            command=command, turn_context=turn_context, language=language, data=data or {}
        )
        sent = await turn_context.send_activity(cards.message(card, note))
        self._follow(
            card=card,
            turn_context=turn_context,
            language=language,
            activity_id=sent.id if sent is not None else "",
        )

    def _follow(
        self, card: cards.Card, turn_context: TurnContext, language: Language, activity_id: str | None
    ) -> None:
        """Have the card kept up to date if it shows an ongoing call."""
        shown = followed_call(card)
        if shown is not None and activity_id:
            activity, user = turn_context.activity, turn_context.turn_state[_USER]
            reader = self._answers.reader(language, activity.from_property.id)
            self._call_cards.follow(
                person=user.key,
                shown=shown,
                activity_id=activity_id,
                reference=reference_of(activity),
                reader=reader,
            )

    async def _card(
        self,
        command: Command | None,
        turn_context: TurnContext,
        language: Language,
        data: Mapping[str, Any],
    ) -> cards.Card:
        reader = self._answers.reader(language, turn_context.activity.from_property.id)
        return await self._answers.answer(command, BotRequest(turn_context.turn_state[_USER], reader, data))

    async def _send_text(self, turn_context: TurnContext, words: str, *, markdown: bool = False) -> None:
        """Answer with a text: as a message, or as the response to a button or a dialog.

        https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model#response-format
        """
        activity = turn_context.activity
        if activity.type != ActivityTypes.invoke:
            message = MessageFactory.text(words)
            message.text_format = "markdown" if markdown else "plain"
            await turn_context.send_activity(message)
            return
        if activity.name == "adaptiveCard/action":
            body: object = {
                "statusCode": 200,
                "type": "application/vnd.microsoft.activity.message",
                "value": words,
            }
        elif activity.name in extension.INVOKES:
            body = extension.refusal(activity.name, words)
        else:
            body = TaskModuleResponse(task=TaskModuleMessageResponse(value=words))
        await self._respond(turn_context, body)

    async def _respond(self, turn_context: TurnContext, body: object) -> None:
        await turn_context.send_activity(
            Activity(type=ActivityTypes.invoke_response, value=self._create_invoke_response(body))
        )

    @staticmethod
    def _create_invoke_response(body: object = None) -> InvokeResponse:
        """Return a response with a plain body. The SDK's own version would be serialised twice and fail."""
        serialize = getattr(body, "serialize", None)
        return InvokeResponse(status=200, body=serialize() if serialize is not None else body)


def reference_of(activity: Activity) -> str:
    """Return the conversation's address as JSON. The same conversation always gives the same text."""
    reference = {
        "channelId": activity.channel_id,
        "serviceUrl": activity.service_url,
        "conversation": {
            "id": activity.conversation.id,
            "conversationType": activity.conversation.conversation_type,
            "tenantId": activity.conversation.tenant_id,
        },
        "user": {"id": activity.from_property.id, "aadObjectId": activity.from_property.aad_object_id},
        "bot": {"id": activity.recipient.id},
    }
    return json.dumps(reference)


def _parse_command(activity: Activity) -> ParsedCommand:
    if activity.type != ActivityTypes.message:
        return ParsedCommand(None, None)
    return understand((activity.value or {}).get("command") or activity.text)


def _language(turn_context: TurnContext, data: object = None) -> Language:
    named = Language.named(data.get("language")) if isinstance(data, dict) else None
    return named or Language.of(turn_context.activity.locale)
