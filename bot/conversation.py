"""The conversation: from a message, a button or a dialog to the state of the person who asks."""

import json
import logging
from typing import Any
from urllib.parse import quote, urlencode

from botbuilder.core import InvokeResponse, MessageFactory, TurnContext
from botbuilder.core.teams import TeamsActivityHandler
from botbuilder.schema import Activity
from botbuilder.schema.teams import (
    TaskModuleContinueResponse,
    TaskModuleRequest,
    TaskModuleResponse,
    TaskModuleTaskInfo,
)

from bot import cards
from bot.adapter import reference_of
from bot.commands import Command, understand
from bot.settings import BotSettings
from core.advisor.advisor import Advisor
from core.diagnosis.finding import Finding
from core.identity.teams_user import TeamsUser
from core.language import Language
from core.request import REQUEST_ID
from core.signin.signin import SignIn
from core.store.conversations import Conversation as StoredConversation
from core.store.conversations import Conversations
from core.store.moments import now

logger = logging.getLogger(__name__)

DIALOG_WIDTH, DIALOG_HEIGHT = 520, 640


class Conversation(TeamsActivityHandler):
    def __init__(
        self, settings: BotSettings, sign_in: SignIn, advisor: Advisor, conversations: Conversations
    ) -> None:
        super().__init__()
        self._advisor = advisor
        self._settings = settings
        self._sign_in = sign_in
        self._conversations = conversations

    async def on_turn(self, turn_context: TurnContext) -> None:
        user = user_of(turn_context.activity)
        if user is None:
            return  # the channel itself, or somebody without a Microsoft account
        if not is_personal(turn_context.activity):
            if turn_context.activity.type == "message":
                await turn_context.send_activity(cards.WORDS.text(_locale(turn_context), "personal.text"))
            return
        await self._conversations.keep(
            *user.key,
            StoredConversation(reference_of(turn_context), turn_context.activity.locale or ""),
            now(),
        )
        await super().on_turn(turn_context)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        value = turn_context.activity.value
        submitted = value if isinstance(value, dict) else {}
        said = understand(str(submitted.get("command") or turn_context.activity.text or ""))
        language = said.language or _language(submitted, turn_context)
        if said.command is None:
            await turn_context.send_activity(cards.WORDS.text(language, "unknown.text"))
        await self._send_card(turn_context, await self._card(said.command, turn_context, language))

    async def on_installation_update_add(self, turn_context: TurnContext) -> None:
        language = _locale(turn_context)
        await self._send_card(turn_context, cards.help_card(language, self.open_url("home"), welcome=True))

    async def on_adaptive_card_invoke(self, turn_context: TurnContext, invoke_value: Any) -> dict[str, Any]:
        """A button of a card: answered with the card as it is now, in place of the old one."""
        action = invoke_value.action  # the SDK hands it over as a plain dict
        language = _language(action.get("data") or {}, turn_context)
        command = next((command for command in Command if command.value == action["verb"]), None)
        if command in (Command.AUDIO_NOT_NOW, Command.AUDIO_NEVER):
            card = await self._be_quiet(command, action.get("data") or {}, turn_context, language)
        else:
            card = await self._card(command, turn_context, language)
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
        language = _language(data, turn_context)
        await self._send_card(turn_context, await self._card(Command.STATUS, turn_context, language))
        return None

    async def _card(
        self, command: Command | None, turn_context: TurnContext, language: Language
    ) -> cards.Card:
        user = user_of(turn_context.activity)
        if user is None or command in (Command.HELP, None):
            return cards.help_card(language, self.open_url("home"))
        if command is Command.AUDIO:
            view = await self._advisor.view(user)
            if not isinstance(view, Finding):
                return cards.audio_card(view, language, self.open_url("audio"))
        if command is Command.SIGN_OUT:
            state = await self._sign_in.sign_out(user)
        else:
            state = await self._sign_in.state(user)
        if command is Command.LICENCE:
            return cards.licence_card(state, language, self.open_url("home"))
        return cards.status_card(state, language, self.open_url("home"))

    async def _be_quiet(
        self, command: Command, data: dict[str, Any], turn_context: TurnContext, language: Language
    ) -> cards.Card:
        """Buttons under a message about devices: not now, or never about this one."""
        user = user_of(turn_context.activity)
        device = data.get("device") if command is Command.AUDIO_NEVER else None
        if user is not None and isinstance(device, str) and device:
            await self._advisor.never(user.key, device)
        elif user is not None:
            await self._advisor.not_now(user.key)
        return cards.audio_quiet_card(
            language, self.open_url("audio"), device if isinstance(device, str) else None
        )

    def open_url(self, page: str) -> str:
        """Deep link to the personal tab (learn.microsoft.com, "Create deep links to a tab")."""
        context = quote(json.dumps({"subEntityId": page}, separators=(",", ":")))
        return f"https://teams.microsoft.com/l/entity/{self._settings.teams_app_id}/home?context={context}"

    async def _send_card(self, turn_context: TurnContext, card: cards.Card) -> None:
        await turn_context.send_activity(MessageFactory.attachment(cards.attachment(card)))

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
