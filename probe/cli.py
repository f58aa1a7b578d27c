"""`pbx-audio-probe`: the desktop side of the audio advisor.

Each command imports its dependencies when it runs (`probe.commands`), so that a small command starts quickly.
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from probe import __version__
from probe.errors import ProbeError
from probe.sentences import WHAT_IS_SENT
from wire.lines import LineFormatter

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Command = options.run
    level = logging.INFO if options.verbose else logging.WARNING
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
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
        description="Reports to PBX for Teams which audio devices Teams and the softphone use. "
        + WHAT_IS_SENT,
    )
    parser.add_argument("--config", type=Path, metavar="FOLDER", help="where the pairing is kept")
    parser.add_argument("--verbose", action="store_true", help="say what happens")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", help="without one, it asks for what it needs")
    parser.set_defaults(run=_later("guide", "run_guide"))
    pairing = commands.add_parser("pair", help="pair this computer with the person whose tab shows the code")
    pairing.add_argument("service", metavar="SERVICE", help="the service's address, as the tab shows it")
    pairing.add_argument("code", nargs="?", metavar="CODE", help="asked for when not given")
    pairing.add_argument(
        "--allow-http", action="store_true", help="send unencrypted: only where the line is private"
    )
    pairing.add_argument("--no-autostart", action="store_true", help="do not start with the session")
    pairing.set_defaults(run=_later("pair"))
    run = commands.add_parser("run", help="report what changes, until stopped")
    run.set_defaults(run=_later("run"))
    once = commands.add_parser("once", help="show what would be sent, and send nothing")
    once.add_argument(
        "--json", action="store_true", help="as it would be sent, and how many devices could not be read"
    )
    once.set_defaults(run=_later("once"))
    unpair = commands.add_parser(
        "unpair", help="forget the pairing, and do not start with the session any more"
    )
    unpair.set_defaults(run=_later("unpair"))
    status = commands.add_parser("status", help="say whether this computer is paired and starts at login")
    status.set_defaults(run=_later("status"))
    uninstall = commands.add_parser("uninstall", help="delete the start at login, the token and the settings")
    uninstall.set_defaults(run=_later("uninstall"))
    return parser


def _later(module: str, function: str = "run") -> Command:
    """Return a command of `probe.commands` that is imported when it runs."""
    return partial(_import_and_run, f"probe.commands.{module}", function)


def _import_and_run(module: str, function: str, options: argparse.Namespace) -> int:
    command: Command = getattr(importlib.import_module(module), function)
    return command(options)


if __name__ == "__main__":
    raise SystemExit(main())
