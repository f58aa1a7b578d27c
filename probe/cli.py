"""`pbx-audio-probe`: the desktop side of the audio advisor."""

import argparse
import asyncio
import json
import logging
import platform as python_platform
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from probe import __version__, autostart
from probe.errors import ProbeError
from probe.link import Reporter, UnpairedError, pair
from probe.programs import Recogniser, load_rules
from probe.readers import this_system
from probe.settings import Pairing, Settings
from probe.snapshot import Reader, Snapshot, report
from wire.probe import PairParams, ProbeReport, ProbeUse

logger = logging.getLogger(__name__)

WHAT_IS_SENT: Final = (
    "It sends the names and ids of the audio devices that Teams and the softphone use, whether they use them at this"
    " moment, and this computer's name. Nothing that is spoken or played, and nothing of other programs."
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    level = logging.INFO if options.verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", stream=sys.stderr, force=True)
    try:
        return run(options)
    except ProbeError as error:
        print(f"pbx-audio-probe: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pbx-audio-probe",
        description="Tells PBX for Teams which audio devices Teams and the softphone use. " + WHAT_IS_SENT,
    )
    parser.add_argument("--config", type=Path, metavar="FOLDER", help="where the pairing is kept")
    parser.add_argument("--verbose", action="store_true", help="say what happens")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    pairing = commands.add_parser("pair", help="pair this computer with the person whose tab shows the code")
    pairing.add_argument("service", metavar="SERVICE", help="the service's address, as the tab shows it")
    pairing.add_argument("code", nargs="?", metavar="CODE", help="asked for when not given")
    pairing.add_argument("--no-autostart", action="store_true", help="do not start with the session")
    pairing.set_defaults(run=_pair)
    run = commands.add_parser("run", help="report what changes, until stopped")
    run.set_defaults(run=_run)
    once = commands.add_parser("once", help="show what would be sent, and send nothing")
    once.add_argument("--json", action="store_true", help="exactly as it would be sent")
    once.set_defaults(run=_once)
    unpair = commands.add_parser(
        "unpair", help="forget the pairing, and do not start with the session any more"
    )
    unpair.set_defaults(run=_unpair)
    return parser


def _pair(options: argparse.Namespace) -> int:
    platform, _reader = this_system()
    service = options.service.rstrip("/")
    if not service.startswith(("https://", "http://")):
        raise ProbeError(f"{options.service} is no address: it starts with https://")
    print(WHAT_IS_SENT)
    code = (options.code or input("Code from the tab's audio page: ")).strip()
    if len(code) < 8:
        raise ProbeError("a code has eight letters and digits, for instance ABCD-EFGH")
    params = PairParams(
        code=code[:20],
        machine=(python_platform.node() or "computer")[:100],
        platform=platform,
        version=__version__,
    )
    paired = asyncio.run(pair(service, params))
    if not Settings(options.config).keep(Pairing(service, paired.token)):
        print("There is no keyring here: the token is kept in a file that only you can read.")
    print(f"Paired{f' with {paired.person}' if paired.person else ''}.")
    if not options.no_autostart:
        print(f"Starts with the session: {autostart.switch_on()}")
    print("Start it now with: pbx-audio-probe run")
    return 0


def _run(options: argparse.Namespace) -> int:
    settings = Settings(options.config)
    pairing = settings.pairing()
    recognise = Recogniser(load_rules(settings.rules_file))
    _platform, reader = this_system()
    try:
        asyncio.run(_report_changes(pairing, reader, recognise))
    except UnpairedError:
        settings.forget()
        autostart.switch_off()
        raise
    return 0


async def _report_changes(pairing: Pairing, reader: Reader, recognise: Recogniser) -> None:
    loop = asyncio.get_running_loop()
    reporter = Reporter(pairing.service, pairing.token)
    failed: asyncio.Future[None] = loop.create_future()

    def changed(snapshot: Snapshot) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(reporter.set, report(snapshot, recognise))

    def watch() -> None:
        try:
            reader.watch(changed)
        except Exception as fault:  # noqa: BLE001 - told in the main thread
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


def _once(options: argparse.Namespace) -> int:
    settings = Settings(options.config)
    recognise = Recogniser(load_rules(settings.rules_file))
    _platform, reader = this_system()
    snapshot = reader.snapshot()
    seen = report(snapshot, recognise)
    if options.json:
        print(json.dumps(seen.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False))
        return 0
    print(_as_text(seen))
    if snapshot.note:
        print(snapshot.note)
    return 0


def _as_text(seen: ProbeReport) -> str:
    if not seen.uses:
        return "Neither Teams nor a softphone uses an audio device at this moment."
    return "\n".join(f"{use.program:10} {use.kind:7} {use.device.label}{_how(use)}" for use in seen.uses)


def _how(use: ProbeUse) -> str:
    if use.assumed:
        return "  (not seen: the system's default, which it may follow)"
    return ("  (now" if use.active else "  (open, silent") + (", for itself alone)" if use.exclusive else ")")


def _unpair(options: argparse.Namespace) -> int:
    Settings(options.config).forget()
    autostart.switch_off()
    print("This computer reports nothing any more. Remove it on the tab's audio page as well.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
