"""`pbx-connector`: the PBX side.

Each command imports its dependencies when it runs (`connector.commands`), so that a small command starts quickly.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from connector import __version__
from connector.errors import ConnectorError
from connector.places import CONFIG_FILE
from core.language import Language

KEEP_OLD_HOURS: Final = 72.0

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Command = options.run
    try:
        return run(options)
    except ConnectorError as error:
        print(f"pbx-connector: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pbx-connector", description="Links a STARFACE to PBX for Teams.")
    parser.add_argument("--version", action="version", version=__version__)
    configuration = os.environ.get("PBX_CONNECTOR_CONFIG", str(CONFIG_FILE))
    parser.add_argument("--config", type=Path, default=Path(configuration), help="the configuration (TOML)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="link the PBX to the service, until stopped")
    run.set_defaults(run=_later("run", "run"))
    setup = commands.add_parser("setup", help="set the connector up, in a browser or in the terminal")
    setup.add_argument("--no-browser", action="store_true", help="ask in the terminal")
    setup.add_argument(
        "--listen",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="where the page listens; another address than loopback takes TLS and a password (127.0.0.1)",
    )
    setup.add_argument("--port", type=int, default=0, help="the page's port; any free one if not given")
    setup.add_argument(
        "--state-directory", type=Path, help="for a new configuration: where its state is kept"
    )
    setup.add_argument(
        "--language", choices=list(Language), help="of the terminal; this machine's if not given"
    )
    setup.set_defaults(run=_later("setup", "run"))
    page = commands.add_parser(
        "page", help="print a one-time link to the module page of the running connector"
    )
    page.set_defaults(run=_later("page", "show"))
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
    doctor.set_defaults(run=_later("doctor", "run"))
    status = commands.add_parser("status", help="how the connector that runs here stands")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_later("status", "show"))
    support = commands.add_parser(
        "support-file",
        help="write the file for support: findings, versions, configuration and log, without secrets",
    )
    support.add_argument(
        "--output",
        type=Path,
        default=Path("pbx-connector-support.zip"),
        metavar="FILE",
        help="where to write it (pbx-connector-support.zip)",
    )
    support.add_argument("--json", action="store_true", help="print what was written as JSON")
    support.set_defaults(run=_later("support_file", "write"))
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
    new.set_defaults(run=_later("key", "new"))
    file = key.add_parser("file", help="write the key file that users may drop on the sign-in page")
    file.add_argument("--out", type=Path, help="where to; the PBX's name if not given")
    file.set_defaults(run=_later("key", "file"))
    return parser


def _later(module: str, function: str) -> Command:
    """Return a command of `connector.commands` that is imported when it runs."""
    return partial(_import_and_run, f"connector.commands.{module}", function)


def _import_and_run(module: str, function: str, options: argparse.Namespace) -> int:
    command: Command = getattr(importlib.import_module(module), function)
    return command(options)


if __name__ == "__main__":
    raise SystemExit(main())
