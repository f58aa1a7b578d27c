"""The Bot Framework SDK, kept in one file so that its successor can take its place: botbuilder 4.17.1.

What is mended here (shared facts, "what is broken and slow"):
- the SDK serialises an invoke's body twice and answers 500, so the response is built here from a plain body;
- each turn scans a list of 999 status codes 999 times; as a frozenset it costs nothing;
- the SDK's check of incoming tokens answers bad ones with 500 and takes one without expiry, so tokens are
  validated before the SDK sees the activity (`core.identity.tokens.ChannelTokenValidator`).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from types import SimpleNamespace
from typing import Any, Final

from aiohttp import web
from botbuilder.core import Bot, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import Activity, ActivityTypes, ConversationReference
from botframework.connector.auth import AuthenticateRequestResult, ClaimsIdentity
from botframework.connector.models import ErrorResponseException
from msrest.exceptions import ClientRequestError
from msrest.universal_http.requests import ClientRetryPolicy
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError, SSLError

from bot.credentials import BotCredentialsFactory
from bot.settings import BotSettings
from core.identity.signing_keys import KeysUnavailableError
from core.identity.tokens import ChannelTokenValidator, TokenRejectedError

logger = logging.getLogger(__name__)

MAX_ACTIVITY_BYTES: Final = 256 * 1024
_CALLER_ID: Final = "urn:botframework:azure"
_INVOKE_NAMES: Final = frozenset(("adaptiveCard/action", "task/fetch", "task/submit"))

ClientRetryPolicy.safe_codes = frozenset(ClientRetryPolicy.safe_codes)


class Outcome(StrEnum):
    """What is known of a message after a failure."""

    NOT_DELIVERED = "not-delivered"
    """Certainly not: it may be sent again."""
    REFUSED = "refused"
    """The person has removed or blocked the bot, or the channel will never take it."""
    UNKNOWN = "unknown"
    """It was on its way when the line was lost: it may have arrived."""


_TRY_AGAIN: Final = frozenset((408, 412, 429, 500, 502, 503, 504))
"""Answers of the channel after which a message may be sent again:
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit#handle-error-codes
"""
_NEVER_SENT: Final = (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError)


def outcome_of(fault: Exception) -> Outcome:
    """Of what `Adapter.write_to` raises."""
    if isinstance(fault, ErrorResponseException):
        again = fault.response.status_code in _TRY_AGAIN
        return Outcome.NOT_DELIVERED if again else Outcome.REFUSED
    if isinstance(fault, TimeoutError):
        return Outcome.UNKNOWN
    if not isinstance(fault, ClientRequestError):
        return Outcome.NOT_DELIVERED  # it failed before anything was sent
    cause = fault.inner_exception
    reason = getattr(cause.args[0] if cause is not None and cause.args else None, "reason", None)
    return Outcome.NOT_DELIVERED if isinstance(reason, _NEVER_SENT) else Outcome.UNKNOWN


class Adapter(CloudAdapter):
    def __init__(self, settings: BotSettings, tokens: ChannelTokenValidator) -> None:
        configuration = SimpleNamespace(
            APP_ID=settings.app_id,
            APP_TYPE=settings.app_type.value,
            APP_TENANTID=settings.tenant_id,
            CHANNEL_SERVICE="",
            TO_CHANNEL_FROM_BOT_LOGIN_URL=f"{settings.authority}/{settings.tenant_id}",
            TO_CHANNEL_FROM_BOT_OAUTH_SCOPE=settings.oauth_scope,
            TO_BOT_FROM_CHANNEL_TOKEN_ISSUER=tokens.issuer,
            TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL=tokens.keys.metadata_url,
            TO_BOT_FROM_EMULATOR_OPENID_METADATA_URL=tokens.keys.metadata_url,
            OAUTH_URL=settings.oauth_scope,
        )
        self._authentication = ConfigurationBotFrameworkAuthentication(
            configuration, credentials_factory=BotCredentialsFactory(settings)
        )
        super().__init__(self._authentication)
        self._settings = settings
        self._tokens = tokens

    async def handle(self, request: web.Request, bot: Bot) -> web.Response:
        """One POST of the channel: 401 for a token that is not good, 400 for what is no activity."""
        try:
            body = json.loads(await request.read())
        except ValueError:
            return web.json_response({"error": "not JSON"}, status=400)
        if (fault := shape_fault(body)) is not None:
            return web.json_response({"error": fault}, status=400)
        try:
            claims = await self._tokens.validate(
                request.headers.get("Authorization"),
                channel_id=body["channelId"],
                service_url=body["serviceUrl"],
            )
        except TokenRejectedError as rejected:
            logger.info("token rejected", extra={"reason": rejected.fault, "path": request.path})
            return web.json_response({"error": "token rejected"}, status=401)
        except KeysUnavailableError:
            return web.json_response({"error": "signing keys unavailable"}, status=503)
        activity = Activity().deserialize(body)
        identity = ClaimsIdentity(claims, True)
        proven = AuthenticateRequestResult()
        proven.claims_identity = identity
        proven.audience = self._settings.oauth_scope
        proven.caller_id = _CALLER_ID
        proven.connector_factory = self._authentication.create_connector_factory(identity)
        response = await self.process_activity(proven, activity, bot.on_turn)
        if response is None:
            if activity.type == ActivityTypes.invoke:
                return web.Response(status=501)
            return web.Response(status=201)
        return web.json_response(response.body, status=response.status)

    async def write_to(self, reference: str, send: Callable[[TurnContext], Awaitable[None]]) -> None:
        """Writes first, to a stored conversation. Raises what the channel answers."""
        failure: list[Exception] = []

        async def turn(context: TurnContext) -> None:
            try:
                await send(context)
            except Exception as fault:  # noqa: BLE001 - carried past the SDK's own error handling
                failure.append(fault)

        conversation = ConversationReference().deserialize(json.loads(reference))
        await self.continue_conversation(conversation, turn, self._settings.app_id)
        if failure:
            raise failure[0]


def shape_fault(body: Any) -> str | None:
    """What keeps a body from being an activity that the SDK can take, or None."""
    if not isinstance(body, dict):
        return "an activity is an object"
    for member in ("type", "channelId", "serviceUrl"):
        if not isinstance(body.get(member), str) or not body[member]:
            return f"{member} is missing"
    for member in ("from", "recipient", "conversation"):
        if not isinstance(body.get(member), dict) or not isinstance(body[member].get("id"), str):
            return f"{member} is missing"
    for member in ("value", "channelData"):
        if body["type"] == "invoke" and not isinstance(body.get(member) or {}, dict):
            return f"{member} is no object"
    if body["type"] == "invoke" and body.get("name") in _INVOKE_NAMES:
        return _invoke_fault(body)
    return None


def _invoke_fault(body: dict[str, Any]) -> str | None:
    value = body.get("value") or {}
    if body["name"] == "adaptiveCard/action":
        action = value.get("action")
        if not isinstance(action, dict) or not isinstance(action.get("verb"), str):
            return "value.action.verb is missing"
        if not isinstance(action.get("data") or {}, dict):
            return "value.action.data is no object"
    return None


def reference_of(context: TurnContext) -> str:
    reference = TurnContext.get_conversation_reference(context.activity)
    return json.dumps(reference.serialize())


async def keep_keys_warm(tokens: ChannelTokenValidator, every: float) -> None:
    """Fetches the channel's keys before the first message needs them, and again before they grow old."""
    while True:
        try:
            await tokens.keys.refresh()
        except KeysUnavailableError:
            logger.warning("the channel's signing keys are not available yet")
            await asyncio.sleep(min(every, 5.0))
        else:
            await asyncio.sleep(every)
