"""Reads the events of an open tab, without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.tab_client import TabClient

SECONDS = 20.0
"""Time-out for an event, long enough for a busy machine."""


class OpenTab:
    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream
        self.seen: list[tuple[str, Any]] = []
        """Names and contents of all events so far."""

    async def next(self, name: str, **wanted: Any) -> Any:
        """Wait for the next event with this name and these members, and return its content; earlier events are kept
        in `seen`.
        """
        async with asyncio.timeout(SECONDS):
            async for event, content in self._events():
                self.seen.append((event, content))
                if event == name and wanted.items() <= content.items():
                    return content
        raise AssertionError(f"the stream has ended without {name}: {self.names}")

    async def read_all(self) -> None:
        """Read events into `seen` until the stream ends."""
        async for event in self._events():
            self.seen.append(event)

    @property
    def state(self) -> Any:
        """The content of the last `state`."""
        return next((content for name, content in reversed(self.seen) if name == "state"), None)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.seen]

    async def _events(self) -> AsyncIterator[tuple[str, Any]]:
        while block := await self._stream.readuntil(b"\n\n"):
            fields = dict(
                line.split(": ", 1)
                for line in block.decode().strip().splitlines()
                if not line.startswith(":")
            )
            if fields:
                yield fields["event"], json.loads(fields["data"])


@asynccontextmanager
async def open_tab(
    client: TabClient, *, takes_changes: bool = True, takes_phone: bool = False
) -> AsyncIterator[OpenTab]:
    """Open a tab that has received its first state. `takes_changes` is false for a page of the previous version."""
    query = ("?changes=true" if takes_changes else "") + ("&phone=true" if takes_phone else "")
    async with client.get(f"events{query}") as response:
        assert response.status == 200, await response.text()
        tab = OpenTab(response.content)
        await tab.next("state")
        yield tab


@asynccontextmanager
async def watch_tab(client: TabClient) -> AsyncIterator[OpenTab]:
    """Open a tab whose events are read in the background."""
    async with open_tab(client) as tab:
        reading = asyncio.create_task(tab.read_all())
        try:
            yield tab
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
