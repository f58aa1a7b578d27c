"""`pbx-connector run`: assembles the connector and runs it until it is stopped."""

import argparse
import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from connector.calls import Calls
from connector.config import Config, load
from connector.directory import Directory
from connector.doctor.doctor import examine_ways
from connector.guard import LoginGuard
from connector.line.lines import Lines
from connector.link import LinkClient
from connector.login_memory import LoginMemory
from connector.logins import Logins
from connector.logs import set_up
from connector.methods import PbxMethods
from connector.monitor import Monitor
from connector.phone_methods import PhoneMethods
from connector.readings import Readings
from connector.rest import StarfaceRest
from connector.state import ConnectorState
from connector.status import StatusPage
from connector.supervisor import Supervisor
from connector.uci import Callbacks, UciClient
from wire.doctor import DoctorReport
from wire.link import UciState

FIRST_CHECK_SECONDS: Final = 5.0
STOP_SECONDS: Final = 1.2
"""How long the parts may take to stop. With the log-out and the status page, the program ends within three seconds."""
THREADS_SECONDS: Final = 0.3
"""For files that are being written. A name look-up runs in a thread, cannot be cancelled, and may take minutes."""
THREADS: Final = "connector"

logger = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    config = load(options.config)
    set_up()
    asyncio.run(_link(config))
    return 0


async def _link(config: Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    threads = ThreadPoolExecutor(thread_name_prefix=THREADS)
    loop.set_default_executor(threads)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    for warning in config.in_clear():
        logger.warning("%s", warning)
    state = ConnectorState(config.state_directory)
    state.pbx_key()
    rest = StarfaceRest(config.pbx, LoginGuard(memory=LoginMemory(state, config.pbx)))
    look = asyncio.Event()
    readings = Readings(look.set)
    uci_config = config.uci.model_copy(update={"enabled": config.uci.enabled and config.active})
    callbacks = Callbacks(uci_config)
    uci = UciClient(config=uci_config, rest=rest, look=look, readings=readings, callbacks=callbacks)
    logins = Logins(rest, callbacks, state, uci_works=lambda: uci.state is UciState.ON)
    calls = Calls(logins)
    directory = Directory(rest, readings, active=config.active)
    lines = Lines(
        rest=rest,
        logins=logins,
        settings=config.telephone,
        group_name=directory.group_name,
        provided_requests=lambda: uci.provided_requests,
    )
    monitor = Monitor(
        rest=rest, uci=uci, directory=directory, readings=readings, look=look, active=config.active
    )
    uses_oauth = config.pbx.auth == "oauth"

    async def examine_myself() -> DoctorReport:
        monitor.request_check()
        return await examine_ways(config, state, [])

    methods = PbxMethods(
        rest=rest,
        directory=directory,
        state=state,
        monitor=monitor,
        calls=calls,
        pbx_name=config.pbx.name,
        uses_oauth=uses_oauth,
        examine=examine_myself,
    )
    handlers = {**methods.handlers(), **PhoneMethods(lines, directory, methods.open_sealed).handlers()}
    link = LinkClient(
        config=config,
        state=state,
        monitor=monitor,
        directory=directory,
        calls=calls,
        lines=lines,
        handlers=handlers,
    )
    supervisor = Supervisor()
    page = StatusPage(
        port=config.status.port,
        pbx_name=config.pbx.name,
        service=config.service.url,
        state=state,
        link=link,
        monitor=monitor,
        uci=uci,
        supervisor=supervisor,
    )
    serving = await page.start() if config.status.port else None
    await _first_check(monitor, stopped)
    for name, part in (
        ("logins", logins.run),  # before the link, because the hub asks whose logins are in use
        ("uci", uci.run),
        ("monitor", monitor.run),
        ("link", link.run),
        ("directory", directory.run),
    ):
        supervisor.start(name, part)
    await stopped.wait()
    await supervisor.stop(STOP_SECONDS)
    await rest.close()
    if serving is not None:
        await serving.cleanup()
    logger.info("stopped")
    await _end_threads(threads)


async def _first_check(monitor: Monitor, stopped: asyncio.Event) -> None:
    """A PBX that is slow or gone is reported over the link."""
    check, stop = asyncio.create_task(monitor.check()), asyncio.create_task(stopped.wait())
    await asyncio.wait({check, stop}, timeout=FIRST_CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in (check, stop):
        task.cancel()
    await asyncio.wait({check, stop})
    if not check.cancelled():
        check.result()


async def _end_threads(threads: ThreadPoolExecutor) -> None:
    """Python would wait for each of them, however long it takes."""
    threads.shutdown(wait=False, cancel_futures=True)
    ends = asyncio.get_running_loop().time() + THREADS_SECONDS
    while any(one.name.startswith(THREADS) for one in threading.enumerate()):
        if asyncio.get_running_loop().time() > ends:
            logging.shutdown()
            os._exit(0)
        await asyncio.sleep(0.02)
