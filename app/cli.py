"""`pbx-teams`: the service and its tools.

The commands are in `app.commands` and imported when they run, so that small ones start fast.
"""

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from app import __version__
from app.errors import CannotDoError
from core.store.errors import UnusableDatabaseError
from manifest.errors import ManifestError

Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = _parser().parse_args(arguments)
    run: Command = options.run
    try:
        return run(options)
    except (CannotDoError, UnusableDatabaseError, ManifestError) as error:
        print(f"pbx-teams: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pbx-teams", description="The bridge between STARFACE and Microsoft Teams."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the service")
    serve.set_defaults(run=_later("service", "serve"))

    db = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="COMMAND")
    upgrade = db.add_parser("upgrade", help="create the schema or bring it up to date")
    upgrade.set_defaults(run=_later("service", "upgrade"))

    licence = commands.add_parser("licence", help="licence keys").add_subparsers(
        required=True, metavar="COMMAND"
    )
    vendor_key = licence.add_parser(
        "vendor-key", help="show the public half of a signing key for the settings"
    )
    _add_signing_key(vendor_key)
    vendor_key.set_defaults(run=_later("licence", "vendor_key"))
    issue = licence.add_parser("issue", help="make a licence key")
    issue.add_argument("--serial", required=True)
    issue.add_argument("--licensee", required=True)
    issue.add_argument("--seats", type=int, required=True)
    issue.add_argument("--from", dest="valid_from", type=date.fromisoformat, default=datetime.now(UTC).date())
    issue.add_argument(
        "--until", type=date.fromisoformat, help="last day; a year from the first if not given"
    )
    issue.add_argument("--kid", required=True, help="the vendor key's id")
    _add_signing_key(issue)
    issue.set_defaults(run=_later("licence", "issue"))
    inspect = licence.add_parser("inspect", help="read a licence key and say whether it would be accepted")
    inspect.add_argument("key", help="the licence key, or - to read it from standard input")
    inspect.add_argument(
        "--vendor-keys", type=_vendor_keys, default=None, metavar="JSON", help="instead of the settings'"
    )
    inspect.set_defaults(run=_later("licence", "inspect"))
    release = licence.add_parser(
        "release", help="unbind a licence key from its PBX, so that another may use it"
    )
    release.add_argument("serial")
    release.add_argument(
        "--end-sessions", action="store_true", help="although seats are held; their users are notified"
    )
    release.set_defaults(run=_later("release", "release"))

    _add_pbx(commands)
    _add_trust(commands)

    manifest = commands.add_parser("manifest", help="the Teams app package").add_subparsers(
        required=True, metavar="COMMAND"
    )
    build = manifest.add_parser("build", help="build the package that is sideloaded")
    build.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="settings of the app; if not given, those of the service",
    )
    build.add_argument("--out", type=Path, default=Path("pbx-teams.zip"))
    build.set_defaults(run=_later("package", "build"))

    audio = commands.add_parser("audio", help="the audio advisor").add_subparsers(
        required=True, metavar="COMMAND"
    )
    compare = audio.add_parser("compare", help="are two device names the same physical device?")
    compare.add_argument("one", metavar="A", help="a device's name as some program shows it")
    compare.add_argument("other", metavar="B", help="another")
    compare.add_argument("--json", action="store_true", help="verdict and reason as JSON")
    compare.set_defaults(run=_later("audio", "compare"))

    openapi = commands.add_parser("openapi", help="print the OpenAPI document of the tab API")
    openapi.set_defaults(run=_later("api", "show"))
    return parser


def _add_pbx(commands: Any) -> None:
    pbx = commands.add_parser("pbx", help="names of PBXs").add_subparsers(required=True, metavar="COMMAND")
    enrol = pbx.add_parser("enrol", help="make a code with which a connector may claim a new name, once")
    enrol.add_argument("name")
    enrol.add_argument("--json", action="store_true")
    enrol.set_defaults(run=_later("pbx", "enrol"))
    enrolments = pbx.add_parser("enrolments", help="names with a code that nobody has used yet")
    enrolments.set_defaults(run=_later("pbx", "enrolments"))
    revoke = pbx.add_parser("revoke-enrolment", help="make a code worthless that nobody has used yet")
    revoke.add_argument("name")
    revoke.set_defaults(run=_later("pbx", "revoke_enrolment"))
    show = pbx.add_parser("show", help="who owns a name, how its link stands, who else has tried it")
    show.add_argument("name")
    show.set_defaults(run=_later("pbx", "show"))
    remove = pbx.add_parser(
        "remove", help="remove a PBX that has had no link for three months, and free its name"
    )
    remove.add_argument("name")
    remove.set_defaults(run=_later("pbx", "remove"))
    hand_over = pbx.add_parser(
        "hand-over", help="bind a name to another installation, for instance one without a backup"
    )
    hand_over.add_argument("name")
    hand_over.add_argument("fingerprint", help="of the new installation's identity, as 'pbx show' prints it")
    hand_over.set_defaults(run=_later("pbx", "hand_over"))


def _add_trust(commands: Any) -> None:
    trust = commands.add_parser("trust", help="Microsoft tenants that a PBX trusts").add_subparsers(
        required=True, metavar="COMMAND"
    )
    show = trust.add_parser("show", help="which tenants a PBX trusts, who began it, how their people come in")
    show.add_argument("name", help="of the PBX")
    show.set_defaults(run=_later("trust", "show"))
    approve = trust.add_parser(
        "approve", help="let the PBX's administrators admit a tenant's people without a key"
    )
    approve.add_argument("name", help="of the PBX")
    approve.add_argument("tenant", help="the tenant's id")
    approve.add_argument(
        "--main", action="store_true", help="another PBX that is the tenant's main one gives way"
    )
    approve.set_defaults(run=_later("trust", "approve"))
    remove = trust.add_parser("remove", help="end trust and approval, and the sessions that they proved")
    remove.add_argument("name", help="of the PBX")
    remove.add_argument("tenant", help="the tenant's id")
    remove.set_defaults(run=_later("trust", "remove"))


def _vendor_keys(text: str) -> dict[str, str]:
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise argparse.ArgumentTypeError(f"this is no JSON: {fault}") from fault
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise argparse.ArgumentTypeError('write a JSON object of texts: {"KID": "PUBLIC KEY"}')
    return keys


def _add_signing_key(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--signing-key", type=Path, metavar="PEM", help="file with an Ed25519 private key, PKCS 8"
    )
    where.add_argument(
        "--signing-key-vault",
        nargs=2,
        metavar=("URL", "SECRET"),
        help="Azure Key Vault and the name of the secret that holds the same",
    )


def _later(module: str, function: str) -> Command:
    """Return a command of `app.commands` that is imported only when it runs."""
    return partial(_import_and_run, f"app.commands.{module}", function)


def _import_and_run(module: str, function: str, options: argparse.Namespace) -> int:
    command: Command = getattr(importlib.import_module(module), function)
    return command(options)


if __name__ == "__main__":
    raise SystemExit(main())
