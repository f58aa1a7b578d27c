"""The adapter of the Bot Framework SDK (botbuilder 4.17.1). Few files use the SDK, so that a successor can replace it.

Workarounds, because the SDK gets no more releases:
- it serialises the body of an invoke response twice and answers 500, so the response is built here from a plain body;
- its token check answers bad tokens with 500 and accepts tokens without an expiry, and its parsers fail on unusual
  content, so token and activity are validated before it sees them (`core.identity.tokens`, `bot.activity`);
- its client for sending blocks threads and hides the channel's answers (`bot.channel` replaces it);
- it copies every member of a card before sending it, which takes longer than the rest of a turn.
"""

import asyncio
import logging
from datetime import timedelta
from typing import Final

from aiohttp import web
from botbuilder.core import Bot, BotAdapter, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter
from botbuilder.schema import Activity, ActivityTypes, ResourceResponse
from botframework.connector.auth import ClaimsIdentity

from bot.activity import ActivityRejectedError, parse
from bot.channel import Channel, ChannelAuthentication, ChannelHosts, DeliveryError, DeliveryOutcome
from bot.door import CHANNEL, is_bot
from core.identity.signing_keys import KeysUnavailableError
from core.identity.tokens import ChannelTokenValidator, TokenRejectedError

logger = logging.getLogger(__name__)

_HANDLED: Final = frozenset((ActivityTypes.message, ActivityTypes.invoke, ActivityTypes.installation_update))
"""Activity types that are processed. Others (typing, reactions, members of a conversation) are acknowledged only."""
MAX_ACTIVITY_BYTES: Final = 256 * 1024
AGAIN_AFTER: Final = timedelta(seconds=4)
"""When to deliver an activity again after a temporary fault of the channel or of Entra that names no time."""
_CALLER_ID: Final = "urn:botframework:azure"


class Adapter(CloudAdapter):
    def __init__(self, channel: Channel, hosts: ChannelHosts, tokens: ChannelTokenValidator) -> None:
        super().__init__(ChannelAuthentication())
        self._channel = channel
        self._hosts = hosts
        self._tokens = tokens

    async def handle(self, request: web.Request, bot: Bot) -> web.Response:
        """Handle one POST of the channel.

        Answers 400 for a body that is not an activity, 401 for an invalid token, 403 for an activity that is not from
        Teams. Answers 503 if the channel's keys are not available or the bot's answer was not delivered, so that the
        channel delivers the activity again.
        """
        try:
            activity = parse(await request.read())
            claims = await self._tokens.validate(
                request.headers.get("Authorization"),
                channel_id=activity.channel_id,
                service_url=activity.service_url,
            )
        except ActivityRejectedError as rejected:
            return _refuse(400, str(rejected))
        except TokenRejectedError as rejected:
            logger.info("token rejected", extra={"reason": rejected.fault, "path": request.path})
            return _refuse(401, "token rejected")
        except KeysUnavailableError:
            return _postpone("signing keys unavailable")
        if activity.channel_id != CHANNEL:
            logger.info("activity of another channel refused", extra={"channel": activity.channel_id})
            return _refuse(403, "this bot is for Microsoft Teams only")
        if not self._hosts.allows(activity.service_url):
            logger.warning(
                "the channel's service address is not a known one, so nothing is sent there; "
                "if it is right, name its host in PBX_TEAMS_CHANNEL_HOSTS",
                extra={"service_url": activity.service_url},
            )
            return _refuse(403, "the service address is not a known one of the channel")
        if activity.type not in _HANDLED or is_bot(activity):
            return web.Response(status=201)
        return await self._turn(activity, ClaimsIdentity(claims, True), bot)

    async def _turn(self, activity: Activity, identity: ClaimsIdentity, bot: Bot) -> web.Response:
        activity.caller_id = _CALLER_ID
        turn = _Turn(self, activity)
        turn.turn_state[BotAdapter.BOT_IDENTITY_KEY] = identity
        turn.turn_state[BotAdapter.BOT_CONNECTOR_CLIENT_KEY] = self._channel.connector(activity.service_url)
        try:
            await self.run_pipeline(turn, bot.on_turn)
            response = self._process_turn_results(turn)
        except DeliveryError as fault:
            logger.warning("answer not delivered", extra={"outcome": fault.outcome, "reason": str(fault)})
            if fault.outcome is DeliveryOutcome.REFUSED:
                return web.Response(status=201)  # another delivery of the activity would not help
            return _postpone("the channel did not take the answer", fault.wait or AGAIN_AFTER)
        if response is None:
            return web.Response(status=201)
        return web.json_response(response.body, status=response.status)


class _Turn(TurnContext):
    async def send_activities(self, activities: list[Activity]) -> list[ResourceResponse]:
        """Send activities as the SDK does, but without its copies and without its handlers, which are not used here."""
        heard = self.activity
        for activity in activities:
            activity.channel_id, activity.service_url = heard.channel_id, heard.service_url
            activity.locale, activity.conversation = heard.locale, heard.conversation
            activity.from_property, activity.recipient = heard.recipient, heard.from_property
            activity.reply_to_id = heard.id
        sent: list[ResourceResponse] = await self.adapter.send_activities(self, activities)
        self.responded = True
        return sent


def _refuse(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)


def _postpone(error: str, wait: timedelta = AGAIN_AFTER) -> web.Response:
    """Ask the channel to deliver the activity again after `wait`."""
    headers = {"Retry-After": str(int(wait.total_seconds()) + 1)}
    return web.json_response({"error": error}, status=503, headers=headers)


async def keep_keys_warm(tokens: ChannelTokenValidator, every: float) -> None:
    """Fetch the channel's keys at the start and then every `every` seconds, so that no message has to wait for them."""
    while True:
        try:
            await tokens.keys.refresh()
        except KeysUnavailableError:
            logger.warning("the channel's signing keys are not available yet")
            await asyncio.sleep(min(every, 5.0))
        else:
            await asyncio.sleep(every)
