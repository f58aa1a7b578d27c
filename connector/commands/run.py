"""`pbx-connector run`: runs the connector until it is stopped."""

import argparse
import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from connector.config import Config, load
from connector.log_file import LogFile
from connector.logs import set_up
from connector.running import Connector
from connector.site.module_site import PART, ModuleSite

logger = logging.getLogger(__name__)

THREADS_SECONDS: Final = 0.3
"""For files that are being written. A name look-up runs in a thread, cannot be cancelled, and may take minutes."""
THREADS: Final = "connector"


def run(options: argparse.Namespace) -> int:
    config = load(options.config)
    set_up()
    asyncio.run(_run(options.config, config))
    return 0


async def _run(path: Path, config: Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(thread_name_prefix=THREADS)
    loop.set_default_executor(threads)
    _stop_by_signal(loop, stopped)
    connector = Connector(path, config)
    kept = LogFile(config.state_directory, connector.remover)
    logging.getLogger().addHandler(kept)
    connector.add_part(PART, ModuleSite(connector).run)
    await connector.run(stopped)
    await _end_threads(threads)


def _stop_by_signal(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stopped.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stopped.set))


async def _end_threads(threads: ThreadPoolExecutor) -> None:
    """Python would wait for each of them, however long it takes."""
    threads.shutdown(wait=False, cancel_futures=True)
    ends = asyncio.get_running_loop().time() + THREADS_SECONDS
    while any(one.name.startswith(THREADS) for one in threading.enumerate()):
        if asyncio.get_running_loop().time() > ends:
            logging.shutdown()
            os._exit(0)
        await asyncio.sleep(0.02)
