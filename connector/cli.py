"""`pbx-connector`: the PBX side."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from connector.calls import Calls
from connector.config import Config, load
from connector.directory import Directory
from connector.doctor.doctor import examine, examine_ways
from connector.doctor.report import Printer
from connector.errors import ConnectorError
from connector.link import LinkClient
from connector.logs import set_up
from connector.methods import PbxMethods
from connector.monitor import Monitor
from connector.rest import StarfaceRest
from connector.state import State
from connector.status import StatusPage, ask, lines
from connector.uci import Callbacks, UciClient
from core.language import Language
from wire.doctor import DoctorReport
from wire.pbxkey import grouped

FIRST_CHECK_SECONDS: Final = 5.0
KEEP_OLD_HOURS: Final = 72.0
MAX_KEEP_OLD_HOURS: Final = 24.0 * 90
DEFAULT_CONFIG: Final = Path("/etc/pbx-connector/connector.toml")

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ConnectorError as error:
        print(f"pbx-connector: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pbx-connector", description="Links a STARFACE to PBX for Teams.")
    configuration = os.environ.get("PBX_CONNECTOR_CONFIG", str(DEFAULT_CONFIG))
    parser.add_argument("--config", type=Path, default=Path(configuration), help="the configuration (TOML)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="link the PBX to the service, until stopped")
    run.set_defaults(run=_run)
    doctor = commands.add_parser("doctor", help="find out, step by step, why there is no open connection")
    doctor.add_argument("--json", action="store_true", help="for support: the findings as JSON")
    doctor.add_argument(
        "--language", choices=list(Language), help="of the words; this machine's if not given"
    )
    doctor.add_argument(
        "--wait-for-call",
        type=float,
        default=0,
        metavar="SECONDS",
        help="wait so long for a call of the connector's own PBX user, to see that events arrive",
    )
    doctor.set_defaults(run=_doctor)
    status = commands.add_parser("status", help="how the connector that runs here stands")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)
    key = commands.add_parser("key", help="the PBX key that users sign in with").add_subparsers(
        required=True, metavar="COMMAND"
    )
    new = key.add_parser("new", help="make a new key; the old one stays good for a while")
    new.add_argument(
        "--keep-old",
        type=float,
        default=KEEP_OLD_HOURS,
        metavar="HOURS",
        help=f"how long the old key stays good ({KEEP_OLD_HOURS:g}); 0 when it has fallen into wrong hands",
    )
    new.set_defaults(run=_key_new)
    file = key.add_parser("file", help="write the key file that users may drop on the sign-in page")
    file.add_argument("--out", type=Path, help="where to; the PBX's name if not given")
    file.set_defaults(run=_key_file)
    return parser


def _run(options: argparse.Namespace) -> int:
    config = load(options.config)
    set_up()
    asyncio.run(_link(config))
    return 0


def _doctor(options: argparse.Namespace) -> int:
    logging.disable(logging.WARNING)
    language = (
        Language(options.language) if options.language else Language.of(os.environ.get("LANG", "en")[:2])
    )
    printer = Printer(language, colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    told = (lambda _step: None) if options.json else printer.step
    report = asyncio.run(examine(options.config, told, max(0.0, options.wait_for_call)))
    if options.json:
        print(report.model_dump_json(by_alias=True, indent=2))
    else:
        printer.end(report)
    return 1 if report.has_failed else 0


def _status(options: argparse.Namespace) -> int:
    status = asyncio.run(ask(load(options.config).status.port))
    if options.json:
        print(status.model_dump_json(by_alias=True, indent=2))
    else:
        print("\n".join(f"{name:<14} {value}" for name, value in lines(status)))
    return 0 if status.linked else 1


def _key_new(options: argparse.Namespace) -> int:
    config = load(options.config)
    if not 0 <= options.keep_old <= MAX_KEEP_OLD_HOURS:
        raise ConnectorError(f"--keep-old takes hours from 0 to {MAX_KEEP_OLD_HOURS:g}")
    state = State(config.state_directory)
    key = state.renew_pbx_key(timedelta(hours=options.keep_old))
    print(f"PBX name  {config.pbx.name}\nPBX key   {grouped(key)}")
    previous = state.previous_pbx_key()
    if previous is None:
        print("The old key is good no longer, as soon as the running connector has noticed (seconds).")
    else:
        print(f"The old key is good until {previous[1].astimezone():%Y-%m-%d %H:%M}; its users are told.")
    return 0


def _key_file(options: argparse.Namespace) -> int:
    config = load(options.config)
    out: Path = options.out or Path(f"{config.pbx.name}.pbxkey")
    content = State(config.state_directory).key_file(config.pbx.name).model_dump_json(by_alias=True, indent=2)
    try:
        out.touch(mode=0o600)
        out.write_text(content + "\n", encoding="utf-8")
    except OSError as fault:
        raise ConnectorError(f"cannot write {out}: {fault.strerror}") from fault
    print(f"Wrote {out}. Whoever has it can sign in as soon as they have a PBX user: hand it out with care.")
    return 0


async def _link(config: Config) -> None:
    state = State(config.state_directory)
    state.pbx_key()
    rest = StarfaceRest(config.pbx)
    look = asyncio.Event()
    uci_config = config.uci.model_copy(update={"enabled": config.uci.enabled and config.active})
    callbacks = Callbacks(uci_config)
    uci = UciClient(uci_config, rest, look, callbacks)
    calls = Calls(rest, callbacks, state)
    monitor = Monitor(rest, uci, look, active=config.active)
    directory = Directory(rest, active=config.active)
    uses_oauth = config.pbx.auth == "oauth"

    async def examine_myself() -> DoctorReport:
        return await examine_ways(config, state, [])

    methods = PbxMethods(
        *(rest, directory, state, monitor, calls, config.pbx.name),
        uses_oauth=uses_oauth,
        examine=examine_myself,
    )
    link = LinkClient(config, state, monitor, directory, calls, methods.handlers())
    page = StatusPage(config.status.port, config.pbx.name, config.service.url, state, link, monitor, uci)
    serving = await page.start() if config.status.port else None
    with suppress(TimeoutError):  # a PBX that is slow or gone is reported over the link
        async with asyncio.timeout(FIRST_CHECK_SECONDS):
            await monitor.check()
    parts = (uci.run(), monitor.run(), link.run(), directory.run(), calls.run())
    tasks = [asyncio.create_task(part) for part in parts]
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    ended = asyncio.create_task(stopped.wait())
    await asyncio.wait([ended, *tasks[1:]], return_when=asyncio.FIRST_COMPLETED)
    for task in (*tasks, ended):
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await rest.close()
    if serving is not None:
        await serving.cleanup()
    for result in results:
        if isinstance(result, Exception):
            raise result
    logger.info("stopped")


if __name__ == "__main__":
    raise SystemExit(main())
