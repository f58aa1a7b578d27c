"""The servers of `bench.bot`, a process of its own each; every one says `ready` when it listens.

python -m bench.bot_servers channel PORT                    takes a bot's messages, as the Bot Framework's connector
                                                            service does; GET /count tells how many, and when
python -m bench.bot_servers echo PORT METADATA              the SDK's own echo bot, as its sample has it, without the
                                                            fetch of its own token
python -m bench.bot_servers bare PORT METADATA              checks a token and posts a reply, nothing else
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jwt
import uvloop
from aiohttp import web
from botbuilder.core import ActivityHandler, MessageFactory, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botframework.connector.auth import ServiceClientCredentialsFactory
from msrest.authentication import BasicTokenAuthentication

from simulator.people import APP_ID, TENANT_ID

ISSUER = "https://api.botframework.com"
CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "body": [{"type": "TextBlock", "text": "x" * 40} for _ in range(20)],
}


def channel() -> web.Application:
    """Serve the channel. `/count` returns the number of messages, and the seconds between the first and the last
    since the previous call.
    """
    numbers = itertools.count()
    times: list[float] = []

    async def take(request: web.Request) -> web.Response:
        await request.read()
        times.append(time.perf_counter())
        return web.json_response({"id": f"out-{next(numbers)}"}, status=201)

    async def count(_request: web.Request) -> web.Response:
        found = {"count": len(times), "seconds": times[-1] - times[0] if times else 0.0}
        if "forget" in _request.query:
            times.clear()
        return web.json_response(found)

    app = web.Application()
    app.router.add_post("/v3/conversations/{chat}/activities", take)
    app.router.add_post("/v3/conversations/{chat}/activities/{activity}", take)
    app.router.add_get("/count", count)
    return app


class _Configuration:
    """All addresses of Microsoft's cloud are those of the simulator."""

    APP_ID = APP_ID
    APP_PASSWORD = "none"
    APP_TYPE = "SingleTenant"
    APP_TENANTID = TENANT_ID
    CHANNEL_SERVICE = ""
    TO_CHANNEL_FROM_BOT_LOGIN_URL = "https://login.example.com"
    TO_CHANNEL_FROM_BOT_OAUTH_SCOPE = "https://api.botframework.com"
    TO_BOT_FROM_CHANNEL_TOKEN_ISSUER = ISSUER
    OAUTH_URL = "https://token.example.com"
    VALIDATE_AUTHORITY = True

    def __init__(self, metadata_url: str) -> None:
        self.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL = metadata_url
        self.TO_BOT_FROM_EMULATOR_OPENID_METADATA_URL = metadata_url


class _Credentials(ServiceClientCredentialsFactory):
    """A token that is already available; the SDK would have to request one from Microsoft."""

    async def is_valid_app_id(self, app_id: str) -> bool:
        return app_id == APP_ID

    async def is_authentication_disabled(self) -> bool:
        return False

    async def create_credentials(self, *_: Any, **_more: Any) -> Any:
        return BasicTokenAuthentication({"access_token": "token"})


def echo(metadata_url: str) -> web.Application:
    class Echo(ActivityHandler):
        async def on_message_activity(self, turn_context: TurnContext) -> None:
            await turn_context.send_activity(MessageFactory.text(f"Echo: {turn_context.activity.text}"))

    bot = Echo()
    adapter = CloudAdapter(
        ConfigurationBotFrameworkAuthentication(
            _Configuration(metadata_url), credentials_factory=_Credentials()
        )
    )

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, bot) or web.Response(status=201)

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    return app


def bare(metadata_url: str) -> web.Application:
    """Serve the bare bot. It can also send a thousand messages: GET /send?to=ADDRESS&count=N answers how many
    seconds they took.
    """
    keys: dict[str, Any] = {}

    async def life(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as http:
            async with http.get(metadata_url) as answer:
                jwks = (await answer.json())["jwks_uri"]
            async with http.get(jwks) as answer:
                keys.update({key["kid"]: jwt.PyJWK(key).key for key in (await answer.json())["keys"]})
            app[HTTP] = http
            yield

    async def send(http: aiohttp.ClientSession, service_url: str, chat: str) -> None:
        reply = {
            "type": "message",
            "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": CARD}],
        }
        url = f"{service_url}/v3/conversations/{chat}/activities"
        async with http.post(url, json=reply, headers={"Authorization": "Bearer token"}) as answer:
            await answer.read()

    async def messages(request: web.Request) -> web.Response:
        activity = await request.json()
        token = request.headers["Authorization"].removeprefix("Bearer ")
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=APP_ID, issuer=ISSUER)
        assert claims["serviceurl"] == activity["serviceUrl"]
        await send(request.app[HTTP], activity["serviceUrl"], activity["conversation"]["id"])
        return web.Response(status=201)

    async def send_many(request: web.Request) -> web.Response:
        numbers = iter(range(int(request.query["count"])))

        async def sender() -> None:
            for number in numbers:
                await send(request.app[HTTP], request.query["to"], f"chat-{number}")

        begun = time.perf_counter()
        await asyncio.gather(*(sender() for _ in range(int(request.query["at_once"]))))
        return web.json_response({"seconds": time.perf_counter() - begun})

    app = web.Application()
    app.cleanup_ctx.append(life)
    app.router.add_post("/api/messages", messages)
    app.router.add_get("/send", send_many)
    return app


HTTP: web.AppKey[aiohttp.ClientSession] = web.AppKey("http")


async def main(kind: str, port: int, *arguments: str) -> None:
    app = {"channel": channel, "echo": echo, "bare": bare}[kind](*arguments)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as _runner:
        _runner.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
