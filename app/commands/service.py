"""`pbx-teams serve` runs the service; `pbx-teams db` upgrades the database schema."""

import argparse
import asyncio
import logging

import uvloop

from app import collector, composition, logs, server, settings
from app.errors import CannotDoError
from core.store import database


def serve(_options: argparse.Namespace) -> int:
    loaded = settings.load()
    logs.set_up(loaded.log_level)
    database.upgrade(loaded.database_url)

    async def run() -> None:
        app = composition.create(loaded)
        collector.settle()
        await server.serve(
            app=app, host=loaded.host, port=loaded.port, shutdown_seconds=loaded.shutdown_seconds
        )

    logging.getLogger("app").info("serving", extra={"port": loaded.port, "public_url": loaded.public_url})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except OSError as fault:
        raise CannotDoError(f"cannot listen on {loaded.host}:{loaded.port}: {fault.strerror}") from fault
    return 0


def upgrade(_options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)
    print("The database schema is up to date.")
    return 0
