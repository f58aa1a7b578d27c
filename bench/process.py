"""Runs programs of a benchmark in separate processes."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Final

MAX_LINE_BYTES: Final = 1024 * 1024
"""Limit for one line of a process's output."""


@contextlib.asynccontextmanager
async def started(
    module: str, *arguments: str, said: bytes = b"", environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, bytes]]:
    """Start a process, send it `said`, and yield it with the first line of its output. It is killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        limit=MAX_LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(said)
        line = await process.stdout.readline()
        assert line, f"{module} {' '.join(arguments)[:200]} has ended"
        yield process, line
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
