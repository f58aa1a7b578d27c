"""Runs the operator's commands as separate processes."""

import asyncio
import sys

from tests.support.world import World


async def run_operator_command(world: World, *arguments: str, group: str = "pbx") -> str:
    """Run `pbx-teams GROUP ARGUMENTS` against the service's database, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", group, *arguments),
        env=world.demo.service_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()
