"""The logs of the parts of a world."""

from tests.support.world import World


def list_errors(world: World, since: int) -> list[str]:
    """Return the lines with errors of the service's log, from a character position on."""
    return [
        line for line in world.log()[since:].splitlines() if "Traceback" in line or '"level": "error"' in line
    ]
