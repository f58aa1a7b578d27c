"""`pbx-audio-probe run`: reports changes until it is stopped."""

import argparse
import asyncio
import signal
import threading
from contextlib import suppress
from typing import Any

from probe import autostart
from probe.errors import ProbeError
from probe.link import Reporter, UnpairedError
from probe.programs import Recogniser, load_rules
from probe.readers import this_system
from probe.sentences import IN_CLEAR
from probe.settings import Pairing, PairingStore
from probe.snapshot import Snapshot, SoundReader, report
from wire.hosts import crosses_in_clear


def run(options: argparse.Namespace) -> int:
    settings = PairingStore(options.config)
    pairing = settings.pairing()
    if crosses_in_clear(pairing.service) and not pairing.allow_http:
        raise ProbeError(IN_CLEAR.format(service=pairing.service))
    recognise = Recogniser(load_rules(settings.rules_file))
    _platform, reader = this_system()
    try:
        asyncio.run(_report_changes(pairing, reader, recognise))
    except UnpairedError:
        settings.forget()
        autostart.switch_off()
        raise
    return 0


async def _report_changes(pairing: Pairing, reader: SoundReader, recognise: Recogniser) -> None:
    loop = asyncio.get_running_loop()
    reporter = Reporter(pairing.service, pairing.token)
    failed: asyncio.Future[None] = loop.create_future()

    def changed(snapshot: Snapshot) -> None:
        with suppress(RuntimeError):  # the loop has already ended
            loop.call_soon_threadsafe(reporter.set, report(snapshot, recognise))

    def watch() -> None:
        try:
            reader.watch(changed)
        except Exception as fault:  # noqa: BLE001 - raised in the main thread
            loop.call_soon_threadsafe(failed.set_exception, fault)

    thread = threading.Thread(target=watch, daemon=True, name="reader")
    thread.start()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stopped.set)
    tasks = [asyncio.create_task(reporter.run()), asyncio.create_task(stopped.wait())]
    waiting: list[asyncio.Future[Any]] = [*tasks, failed]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            one.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        reader.stop()
        await asyncio.to_thread(thread.join, 2.0)
