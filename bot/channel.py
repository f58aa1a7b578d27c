"""Sends messages to the channel through the Bot Framework's connector API. Replaces the SDK's client.

The SDK's client uses threads, is created for each turn, and does not report `Retry-After`. The API:
https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
"""

import asyncio
import email.utils
import json
import logging
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import aiohttp
from botbuilder.schema import Activity, ChannelAccount, ConversationAccount, ResourceResponse
from botframework.connector.auth import ClaimsIdentity
from botframework.connector.auth.bot_framework_authentication import BotFrameworkAuthentication
from pydantic_core import to_json
from yarl import URL

from bot.credentials import ChannelToken, TokenUnavailableError
from core.store.conversations import ClosedReason
from core.store.timestamps import now
from wire import outbound

logger = logging.getLogger(__name__)

MICROSOFT_HOSTS: Final = frozenset(
    (
        "smba.trafficmanager.net",
        "smba.onyx.prod.teams.trafficmanager.net",
        "smba.infra.gcc.teams.microsoft.com",
        "smba.infra.gov.teams.microsoft.us",
        "smba.infra.dod.teams.microsoft.us",
    )
)
"""Hosts to which bots send messages. The bot's token is sent only to these hosts and to those in the settings. Sources:
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages and the clouds in
Microsoft's Teams SDKs. Full names are compared, not suffixes: anybody can register a name under trafficmanager.net.
"""
_LOOPBACK: Final = frozenset(("127.0.0.1", "localhost", "::1"))

SEND_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 4.0
IDLE_SECONDS: Final = 15.0
"""Idle time-out of our connections. It is shorter than the channel's, so that no message uses a closing connection."""
MAX_ANSWER_BYTES: Final = 64 * 1024
PATIENCE_SECONDS: Final = 8.0
"""Total time for retries of one answer. The channel waits 15 s for the turn."""
MAX_WAITING: Final = 2_000
"""Number of answers that may wait for a retry at the same time. More fail, and the channel delivers their activities
again.
"""
MAX_CONNECTIONS: Final = 256
"""Number of connections to the channel. Further messages wait for one of them."""
FIRST_PAUSE: Final = 1.0
"""First pause, in seconds, before a retry if the channel names none; it doubles each time."""


class DeliveryOutcome(StrEnum):
    """What is known about a message after a failure."""

    NOT_DELIVERED = "not-delivered"
    """Certainly not delivered. It may be sent again."""
    DOUBTFUL = "doubtful"
    """The channel reported an internal error. The message may have been delivered, so it is sent again at most once."""
    REFUSED = "refused"
    """The channel will never accept it."""
    UNKNOWN = "unknown"
    """The connection was lost during the request. The message may have been delivered."""


class DeliveryError(Exception):
    """A message was not delivered, or its delivery is uncertain."""

    def __init__(
        self,
        outcome: DeliveryOutcome,
        reason: str,
        *,
        wait: timedelta | None = None,
        closed: ClosedReason | None = None,
        is_throttled: bool = False,
    ) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.wait = wait
        """How long the channel asks to wait."""
        self.closed = closed
        """Set if the whole conversation accepts no more messages."""
        self.is_throttled = is_throttled
        """Whether the channel refused because of its rate limit."""


_AGAIN: Final = frozenset((401, 408, 412, 429))
"""Statuses that mean that the channel did not accept the message and that it may be sent again:
https://learn.microsoft.com/microsoftteams/platform/bots/how-to/rate-limit#handle-http-429-responses
"""
_CLOSED: Final[Mapping[str, ClosedReason]] = {
    "ConversationBlockedByUser": ClosedReason.BLOCKED,
    "MessageWritesBlocked": ClosedReason.BLOCKED,
    "BotDisabledByAdmin": ClosedReason.DISABLED,
    "BotNotInConversationRoster": ClosedReason.REMOVED,
    "ConversationNotFound": ClosedReason.REMOVED,
}
"""Error codes of a 403 or 404 that mean that the bot cannot write to the conversation. Another 403, for instance of a
proxy, does not mean that.
"""
_CODE: Final = re.compile("|".join(_CLOSED))


@dataclass(frozen=True, slots=True)
class ChannelHosts:
    """The hosts to which the bot may send its token."""

    more: frozenset[str] = frozenset()
    """Further host names, with a port unless it is 443. A loopback host is allowed with any port and without TLS."""

    def allows(self, service_url: str) -> bool:
        """Return whether the bot may send its token to this service URL."""
        address = _read_address(service_url)
        if address is None:
            return False
        if address.host in _LOOPBACK and address.host in self.more:
            return address.scheme in ("http", "https")
        return address.scheme == "https" and (address.named in self.more or address.named in MICROSOFT_HOSTS)


class _Address(NamedTuple):
    scheme: str
    host: str
    named: str
    """The host, with a port unless it is 443."""


@lru_cache(maxsize=256)
def _read_address(service_url: str) -> _Address | None:
    """Parse a service URL; return None if no token may be sent to it. Cached, because the channel uses few URLs."""
    try:
        parts = urlsplit(service_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.query or parts.fragment:
        return None
    return _Address(parts.scheme, host, host if port in (None, 443) else f"{host}:{port}")


class _Conversations:
    """The part of the SDK's `ConnectorClient.conversations` that its adapter uses."""

    def __init__(self, channel: "Channel", service_url: str) -> None:
        self._channel = channel
        self._service_url = service_url

    async def send_to_conversation(self, conversation_id: str, activity: Activity) -> ResourceResponse:
        return await self._send_with_retries("POST", activity, conversation_id)

    async def reply_to_activity(
        self, conversation_id: str, activity_id: str, activity: Activity
    ) -> ResourceResponse:
        return await self._send_with_retries("POST", activity, conversation_id, activity_id)

    async def update_activity(
        self, conversation_id: str, activity_id: str, activity: Activity
    ) -> ResourceResponse:
        return await self._send_with_retries("PUT", activity, conversation_id, activity_id)

    async def _send_with_retries(self, method: str, activity: Activity, *parts: str) -> ResourceResponse:
        url = self._channel.get_url(self._service_url, *parts)
        return await self._channel.send_with_retries(lambda: self._channel.request(method, url, activity))


@dataclass(frozen=True, slots=True)
class Connector:
    """The part of the SDK's `ConnectorClient` that its adapter uses."""

    conversations: _Conversations


class Channel:
    """One HTTP session to the channel, for all turns and notices."""

    def __init__(self, hosts: ChannelHosts, token: ChannelToken) -> None:
        self._hosts = hosts
        self._token = token
        self._http: aiohttp.ClientSession | None = None
        self._waiting = 0
        self._proxies = outbound.EnvironmentProxies()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    def connector(self, service_url: str) -> Connector:
        return Connector(_Conversations(self, service_url))

    async def send(self, reference: Mapping[str, Any], message: Activity) -> str:
        """Send a message to a stored conversation, without retries. Raises `DeliveryError`.

        Returns the id of the message, or an empty string if the channel does not report it.
        """
        url = self.get_url(reference["serviceUrl"], reference["conversation"]["id"])
        return str((await self.request("POST", url, _addressed(reference, message))).id or "")

    async def update(self, reference: Mapping[str, Any], activity_id: str, message: Activity) -> None:
        """Replace an earlier message. Retries for up to `PATIENCE_SECONDS`. Raises `DeliveryError`."""
        url = self.get_url(reference["serviceUrl"], reference["conversation"]["id"], activity_id)
        addressed = _addressed(reference, message)
        await self.send_with_retries(lambda: self.request("PUT", url, addressed))

    def get_url(self, service_url: str, *parts: str) -> URL:
        """Return the URL of a conversation's activities, or of one activity. Raises `DeliveryError` for unknown hosts.

        `parts` are the conversation's id and, if needed, the activity's id.
        """
        if not self._hosts.allows(service_url):
            raise DeliveryError(
                DeliveryOutcome.REFUSED, "the service address is not a known one of the channel"
            )
        conversation, *activity = (quote(part, safe="") for part in parts)
        path = "/".join(("v3/conversations", conversation, "activities", *activity))
        return URL(f"{service_url.rstrip('/')}/{path}", encoded=True)

    async def request(self, method: str, url: URL, message: Activity) -> ResourceResponse:
        """Send one request, without retries. Raises `DeliveryError`."""
        try:
            token = await self._token.get()
        except TokenUnavailableError as fault:
            raise DeliveryError(DeliveryOutcome.NOT_DELIVERED, "no token for the channel") from fault
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = to_json(_content(message))
        try:
            async with self._session().request(
                method, url, data=body, headers=headers, **self._proxies.of(url)
            ) as answer:
                content = await answer.content.read(MAX_ANSWER_BYTES)
                status, answered = answer.status, answer.headers
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as fault:
            raise DeliveryError(DeliveryOutcome.NOT_DELIVERED, "the channel cannot be reached") from fault
        except outbound.RedirectedError as redirect:
            raise DeliveryError(DeliveryOutcome.REFUSED, "the channel leads elsewhere") from redirect
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise DeliveryError(DeliveryOutcome.UNKNOWN, "the line to the channel was lost") from fault
        if status < 300:
            return ResourceResponse(id=_id_of(content))
        if status == 401:
            self._token.forget(token)
        raise _failure(status, answered, content)

    async def send_with_retries(self, send: Callable[[], Awaitable[ResourceResponse]]) -> ResourceResponse:
        """Call `send`, with retries for up to `PATIENCE_SECONDS`, as for an answer that a person waits for.

        Raises `DeliveryError`.
        """
        left, pause, doubtful = PATIENCE_SECONDS, FIRST_PAUSE, False
        while True:
            try:
                return await send()
            except DeliveryError as fault:
                again = fault.outcome is DeliveryOutcome.NOT_DELIVERED or (
                    fault.outcome is DeliveryOutcome.DOUBTFUL and not doubtful
                )
                wait = fault.wait.total_seconds() if fault.wait is not None else pause
                wait += random.uniform(0, pause / 2)  # noqa: S311 - spreads load, protects nothing
                if not again or wait > left or self._waiting >= MAX_WAITING:
                    raise
                doubtful = doubtful or fault.outcome is DeliveryOutcome.DOUBTFUL
                left, pause = left - wait, pause * 2
            self._waiting += 1
            try:
                await asyncio.sleep(wait)
            finally:
                self._waiting -= 1

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = outbound.client(
                trust_env=False,
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=SEND_SECONDS, sock_connect=CONNECT_SECONDS),
            )
        return self._http


def _addressed(reference: Mapping[str, Any], message: Activity) -> Activity:
    message.from_property, message.recipient = reference.get("bot"), reference.get("user")
    message.conversation = reference["conversation"]
    return message


def _failure(status: int, headers: Mapping[str, str], content: bytes) -> DeliveryError:
    reason = f"the channel answers {status}"
    wait = retry_after(headers.get("Retry-After"))
    if status in _AGAIN:
        return DeliveryError(DeliveryOutcome.NOT_DELIVERED, reason, wait=wait, is_throttled=status == 429)
    if status >= 500:
        return DeliveryError(DeliveryOutcome.DOUBTFUL, reason, wait=wait)
    closed = None
    if status in (403, 404) and (code := _CODE.search(content.decode(errors="replace"))) is not None:
        reason, closed = f"{reason}, {code[0]}", _CLOSED[code[0]]
    return DeliveryError(DeliveryOutcome.REFUSED, reason, closed=closed)


def retry_after(header: str | None) -> timedelta | None:
    """Parse a Retry-After header: seconds or a date (RFC 9110, 10.2.3).

    Returns None for anything else. The result is never negative; seconds are cut to a day, a date is not bounded.
    """
    text = (header or "").strip()[:100]
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text), 86_400))
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(moment - now(), timedelta())
    except (ValueError, OverflowError):
        return None


def _content(message: Activity) -> dict[str, Any]:
    """Serialise an activity. The SDK's own serialiser is slow, because it validates every member of every card."""
    members: dict[str, Any] = {
        "type": message.type,
        "text": message.text,
        "textFormat": message.text_format,
        "summary": message.summary,
        "locale": message.locale,
        "from": _account(message.from_property),
        "recipient": _account(message.recipient),
        "conversation": _conversation(message.conversation),
        "replyToId": message.reply_to_id,
        "attachments": [
            {"contentType": attachment.content_type, "content": attachment.content}
            for attachment in message.attachments or []
        ],
    }
    return {name: value for name, value in members.items() if value}


def _account(account: ChannelAccount | Mapping[str, Any] | None) -> Any:
    """Serialise an account of the SDK; a stored one is returned unchanged."""
    if not isinstance(account, ChannelAccount):
        return account
    members = {"id": account.id, "name": account.name, "aadObjectId": account.aad_object_id}
    return {name: value for name, value in members.items() if value}


def _conversation(conversation: ConversationAccount | Mapping[str, Any] | None) -> Any:
    if not isinstance(conversation, ConversationAccount):
        return conversation
    members = {
        "id": conversation.id,
        "conversationType": conversation.conversation_type,
        "tenantId": conversation.tenant_id,
        "isGroup": conversation.is_group,
    }
    return {name: value for name, value in members.items() if value}


def _id_of(content: bytes) -> str:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    return str(answer.get("id", "")) if isinstance(answer, dict) else ""


class ChannelAuthentication(BotFrameworkAuthentication):
    """An object that the SDK's adapter requires and this bot does not use.

    Requests are authenticated before the SDK sees them, a turn gets its connector from `Channel.connector`, and there are
    no sign-in cards.
    """

    def create_connector_factory(self, claims_identity: ClaimsIdentity) -> Any:
        raise NotImplementedError

    async def create_user_token_client(self, claims_identity: ClaimsIdentity) -> Any:
        raise NotImplementedError

    async def authenticate_request(self, activity: Activity, auth_header: str) -> Any:
        raise NotImplementedError

    async def authenticate_streaming_request(self, auth_header: str, channel_id_header: str) -> Any:
        raise NotImplementedError
