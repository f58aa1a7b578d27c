"""The response that streams live updates to an open tab: server-sent events on a request that has its token in a
header.

The first event is the user's complete state. After that the stream sends changes: `state` (the user's own,
complete), `audio`, and about their PBX `connection`, `seats`, `waiting`, and for administrators `holders` and
`claims`; `phone` is their telephone. `missed` means that events may have been lost, `replaced` that newer streams
of the same user have displaced this one.
"""

import asyncio
import logging
from typing import Final

from aiohttp import web

from core.identity.tokens import TabToken
from core.store.database import STORAGE_ERRORS
from tab import present
from tab.audio import audio_state
from tab.feeds import event
from tab.operation import TabServices
from tab.problems import language_of
from tab.streams import Due, Stream
from wire.tab import StateParams

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.2
"""Minimum time between two reads of a user's state, so that simultaneous changes share one event."""

STOPPING: Final = web.AppKey("stopping", asyncio.Event)
"""Set when the service shuts down."""

TAKES_CHANGES: Final = "changes"
"""Query parameter of a page that understands changes. A page of the previous version is sent complete states."""

TIME_ZONE: Final = "timeZone"
"""Query parameter as in `StateParams`. A page that opens requests no state but the first one of its stream."""

TAKES_PHONE: Final = "phone"
"""Query parameter of a page that shows the telephone."""


async def stream(request: web.Request, token: TabToken, services: TabServices) -> web.StreamResponse:
    """Stream live updates until the token expires, the tab disconnects, or the user has opened too many newer
    streams.
    """
    live = services.live
    where = StateParams(time_zone=request.query.get(TIME_ZONE, "")).time_zone
    if where:
        await services.sign_in.set_time_zone(token.user, where)
    opened = Stream(
        user=token.user,
        language=language_of(request),
        expires_at=token.expires_at,
        now=asyncio.get_running_loop().time(),
        takes_changes=TAKES_CHANGES in request.query,
        takes_phone=TAKES_CHANGES in request.query and TAKES_PHONE in request.query,
    )
    with live.streams.opened(opened):
        try:
            # Read before the response starts, so that an unavailable database can still be answered with a problem.
            first = await _read_own_state(opened, services)
            return await _send_all(request=request, stream=opened, services=services, first=first)
        finally:
            live.leave(opened)


async def _send_all(
    request: web.Request, stream: Stream, services: TabServices, first: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    response.headers["X-Accel-Buffering"] = "no"
    await response.prepare(request)
    stream.transport = request.transport
    try:
        await _send(response, stream, first)
        while not services.live.is_stopping:
            due = await stream.take_due()
            if Due.END in due:
                if stream.is_replaced:
                    await _send(response, stream, event("replaced"))
                break
            await _send(response, stream, await _encode_due(due, stream, services))
            if due & (Due.OWN | Due.AUDIO):
                await asyncio.sleep(PAUSE_SECONDS)
    except ConnectionError:
        pass
    except STORAGE_ERRORS:
        # Abort instead of ending the stream properly, so that the tab waits before it reconnects.
        logger.warning("a stream is cut while the database is away")
        stream.cut()
    return response


async def _encode_due(due: Due, stream: Stream, services: TabServices) -> bytes:
    if not stream.takes_changes:
        if due & ~Due.KEEP_ALIVE:
            return await _read_own_state(stream, services)
    else:
        text = b""
        if Due.OWN in due:
            text += await _read_own_state(stream, services)
        if Due.AUDIO in due and stream.session_id is not None:
            text += await _read_audio(stream, services)
        if Due.PHONE in due and not stream.is_suspended:
            text, stream.phone = text + stream.phone, b""
        if Due.MISSED in due:
            text += event("missed")
        text += services.live.encode_pbx_events(stream, due)
        if text:
            return text
    return b": keep-alive\n\n" if Due.KEEP_ALIVE in due else b""


async def _read_own_state(stream: Stream, services: TabServices) -> bytes:
    live = services.live
    async with live.reading:
        unwatched_changes = live.unwatched_changes
        stream.due &= ~Due.OWN  # changes that arrive during the read cause another read
        state = await services.sign_in.state(stream.user)
    if Due.OWN not in stream.due:
        live.apply_state(stream, state, unwatched_changes)
    text = event("state", present.my_state(state, stream.language))
    if not stream.takes_changes:
        text = (event("audio") if state.session is not None else b"") + text
        text += event("licences") if stream.is_administrator else b""
    return text


async def _read_audio(stream: Stream, services: TabServices) -> bytes:
    async with services.live.reading:
        view = await services.advisor.conclude_for(stream.user.key)
    return event("audio", audio_state(view, stream.language, services))


async def _send(response: web.StreamResponse, stream: Stream, text: bytes) -> None:
    """Write to the stream. `LiveUpdates.run` disconnects a reader that is too slow."""
    if not text:
        return
    stream.sent_at = stream.sending_since = asyncio.get_running_loop().time()
    try:
        await response.write(text)
    finally:
        stream.sending_since = None
