"""Live updates to an open tab: server-sent events over a request that carries the token in its header."""

import asyncio
import logging
import time
from typing import Final

from aiohttp import web

from core.advisor.advisor import audio_topic
from core.hub.bus import pbx_topic, user_topic
from core.identity.tokens import TabToken
from core.signin.signin import State
from core.store.database import STORAGE_ERRORS
from tab.operation import TabServices
from tab.problems import language_of
from wire.tab import MyState

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS: Final = 15.0
"""Proxies close a stream that is silent for 30 to 60 seconds."""
SEEN_SECONDS: Final = 300.0
PAUSE_SECONDS: Final = 0.2
"""Between two updates, so that a morning's rush of sign-ins is not one update each."""

STOPPING: Final = web.AppKey("stopping", asyncio.Event)
"""Set when the service shuts down: open streams end, and their tabs come again."""


async def stream(request: web.Request, token: TabToken, services: TabServices) -> web.StreamResponse:
    """Sends the state at once and whenever it changes, until the token expires or the tab goes away."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    response.headers["X-Accel-Buffering"] = "no"
    await response.prepare(request)
    stopping = request.config_dict[STOPPING]
    state = await services.sign_in.state(token.user)
    try:
        while not stopping.is_set() and (left := token.expires_at - time.time()) > 0:
            topics = _topics(state)
            with services.bus.watch(*topics) as woken:
                # Read after the watch has begun, so that nothing slips by unseen.
                state = await services.sign_in.state(token.user)
                await _send_state(response, await services.my_state(state, language_of(request)))
                if _topics(state) == topics:
                    seen = asyncio.create_task(_keep_seen(token, services))
                    try:
                        if not await _wait(response, woken, stopping, left):
                            break
                    finally:
                        seen.cancel()
            await asyncio.sleep(PAUSE_SECONDS)
    except ConnectionError:
        pass
    return response


async def _keep_seen(token: TabToken, services: TabServices) -> None:
    """An open tab is activity: its session is not idle."""
    while True:
        await asyncio.sleep(SEEN_SECONDS)
        try:
            await services.sign_in.seen(token.user)
        except STORAGE_ERRORS:
            logger.warning("not noted as seen", exc_info=True)


def _topics(state: State) -> tuple[str, ...]:
    """What changes this state: the person's own session, and everything about their PBX."""
    own = user_topic(*state.user.key)
    audio = audio_topic(*state.user.key)
    if state.session is not None:
        return own, audio, pbx_topic(state.session.pbx_id)
    # Whoever waits is moved up by what others do.
    return (own,) if state.place is None else (own, pbx_topic(state.place.pbx_id))


async def _send_state(response: web.StreamResponse, state: MyState) -> None:
    text = "event: audio\ndata: {}\n\n" if state.signed_in else ""
    text += f"event: state\ndata: {state.model_dump_json(by_alias=True)}\n\n"
    if state.person is not None and state.person.is_administrator:
        text += "event: licences\ndata: {}\n\n"
    await response.write(text.encode())


async def _wait(
    response: web.StreamResponse, woken: asyncio.Event, stopping: asyncio.Event, seconds: float
) -> bool:
    """Until something changed (True); False when the token's time or the service's is over."""
    waiting = {asyncio.ensure_future(woken.wait()), asyncio.ensure_future(stopping.wait())}
    ends = time.monotonic() + seconds
    try:
        while (left := ends - time.monotonic()) > 0:
            done, _ = await asyncio.wait(
                waiting, timeout=min(KEEP_ALIVE_SECONDS, left), return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return woken.is_set() and not stopping.is_set()
            await response.write(b": keep-alive\n\n")
        return False
    finally:
        for task in waiting:
            task.cancel()
