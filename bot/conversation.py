"""The conversation: from a message, a button or a dialog to the state of the person who asks."""

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from botbuilder.core import InvokeResponse, MessageFactory, TurnContext
from botbuilder.core.teams import TeamsActivityHandler
from botbuilder.schema import Activity, ActivityTypes
from botbuilder.schema.teams import (
    TaskModuleContinueResponse,
    TaskModuleRequest,
    TaskModuleResponse,
    TaskModuleTaskInfo,
)

from bot.adapter import reference_of
from bot.answers import Answers, Asked
from bot.cards import parts as cards
from bot.commands import Command, understand
from bot.settings import BotSettings
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.request import REQUEST_ID
from core.signin.signin import SignIn
from core.store.conversations import Conversation as StoredConversation
from core.store.conversations import Conversations
from core.store.moments import now

logger = logging.getLogger(__name__)

DIALOG_WIDTH, DIALOG_HEIGHT = 520, 640
_ANSWERED_ONCE: Final = (ActivityTypes.message, ActivityTypes.installation_update)
"""However often the channel delivers it. An invoke waits for its answer, so it gets one each time."""


class Conversation(TeamsActivityHandler):
    def __init__(
        self, settings: BotSettings, answers: Answers, sign_in: SignIn, conversations: Conversations
    ) -> None:
        super().__init__()
        self._settings = settings
        self._answers = answers
        self._sign_in = sign_in
        self._conversations = conversations

    async def on_turn(self, turn_context: TurnContext) -> None:
        activity = turn_context.activity
        user = user_of(activity)
        if user is None:
            return  # the channel itself, or somebody without a Microsoft account
        if not is_personal(activity):
            if activity.type == ActivityTypes.message:
                await turn_context.send_activity(
                    cards.WORDS.text(_locale(turn_context), "personal.text", url=self._chat_url())
                )
            return
        is_new = await self._conversations.keep(
            *user.key,
            StoredConversation(reference_of(turn_context), activity.locale or ""),
            activity.id if activity.type in _ANSWERED_ONCE else None,
            now(),
        )
        if not is_new:
            logger.info("activity delivered again", extra={"activity": activity.id})
            return
        if activity.local_timezone:
            await self._sign_in.seen_in(user, activity.local_timezone)
        await super().on_turn(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        value = turn_context.activity.value
        submitted = value if isinstance(value, dict) else {}
        said = understand(str(submitted.get("command") or turn_context.activity.text or ""))
        language = said.language or _language(submitted, turn_context)
        command = said.command
        if command is None:
            await turn_context.send_activity(cards.WORDS.text(language, "unknown.text"))
        elif command is Command.SIGN_OUT and not said.is_exact:
            command = Command.SIGN_OUT_ASK
        await self._answer(command, turn_context, language, {})

    async def on_installation_update_add(self, turn_context: TurnContext) -> None:
        await self._answer(Command.WELCOME, turn_context, _locale(turn_context), {})

    async def on_adaptive_card_invoke(self, turn_context: TurnContext, invoke_value: Any) -> dict[str, Any]:
        """A button of a card, or a client that refreshes one: answered with the card as it is now, in the old one's
        place.
        """
        action = invoke_value.action  # the SDK hands it over as a plain dict
        data = action.get("data") or {}
        command = next((command for command in Command if command.value == action["verb"]), None)
        card = await self._card(command, turn_context, _language(data, turn_context), data)
        return {"statusCode": 200, "type": cards.CONTENT_TYPE, "value": card}

    async def on_teams_task_module_fetch(
        self, turn_context: TurnContext, task_module_request: TaskModuleRequest
    ) -> TaskModuleResponse:
        """Opens the tab's sign-in page as a dialog."""
        data = task_module_request.data if isinstance(task_module_request.data, dict) else {}
        language = _language(data, turn_context)
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
        """The dialog has closed after a sign-in: shows the state that came of it, whatever the dialog says."""
        data = task_module_request.data if isinstance(task_module_request.data, dict) else {}
        await self._answer(Command.STATUS, turn_context, _language(data, turn_context), {})
        return None

    async def _answer(
        self,
        command: Command | None,
        turn_context: TurnContext,
        language: Language,
        data: Mapping[str, Any],
    ) -> None:
        card = await self._card(command, turn_context, language, data)
        await turn_context.send_activity(MessageFactory.attachment(cards.attachment(card)))

    async def _card(
        self,
        command: Command | None,
        turn_context: TurnContext,
        language: Language,
        data: Mapping[str, Any],
    ) -> cards.Card:
        user = user_of(turn_context.activity)
        if user is None:
            raise ValueError("a turn without a user")  # `on_turn` lets none through
        reader = self._answers.reader(language, turn_context.activity.from_property.id)
        return await self._answers.to(command, Asked(user, reader, data))

    def _chat_url(self) -> str:
        """Deep link to the personal chat with the bot (learn.microsoft.com, "Deep link to start a new chat")."""
        return f"https://teams.microsoft.com/l/chat/0/0?users={quote(f'28:{self._settings.app_id}')}"

    @staticmethod
    def _create_invoke_response(body: object = None) -> InvokeResponse:
        """A plain body: the SDK's own would be serialised a second time and fail."""
        serialize = getattr(body, "serialize", None)
        return InvokeResponse(status=200, body=serialize() if serialize is not None else body)


async def say_sorry(context: TurnContext, error: Exception) -> None:
    """What the user is told when a turn fails; the log has the rest under the same number."""
    logger.error("turn failed", exc_info=error)
    words = cards.WORDS.text(_locale(context), "error.text", request_id=REQUEST_ID.get())
    await context.send_activity(words)


def user_of(activity: Activity) -> TeamsUser | None:
    """The Teams identity of a validated activity: tenant and object id as the channel states them."""
    sender = activity.from_property
    data = activity.channel_data if isinstance(activity.channel_data, dict) else {}
    tenant = (data.get("tenant") or {}).get("id") or getattr(activity.conversation, "tenant_id", None)
    object_id = getattr(sender, "aad_object_id", None)
    if not isinstance(tenant, str) or not isinstance(object_id, str) or not tenant or not object_id:
        return None
    return TeamsUser(tenant.lower(), object_id.lower(), sender.name or "")


def is_personal(activity: Activity) -> bool:
    return (
        activity.conversation.conversation_type in (None, "personal") and not activity.conversation.is_group
    )


def _locale(turn_context: TurnContext) -> Language:
    return Language.of(turn_context.activity.locale)


def _language(data: dict[str, Any], turn_context: TurnContext) -> Language:
    return Language.named(data.get("language")) or _locale(turn_context)
