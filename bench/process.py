"""Programs of a benchmark in processes of their own."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Final

MAX_LINE_BYTES: Final = 1024 * 1024
"""Of what a process says."""


@contextlib.asynccontextmanager
async def started(
    module: str, *arguments: str, said: bytes = b"", environment: Mapping[str, str] | None = None
) -> AsyncIterator[tuple[asyncio.subprocess.Process, bytes]]:
    """A process that is told `said`, with the first line that it says. It is killed at the end."""
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
