"""`pbx-teams`: the service and its tools."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import uvloop
from aiohttp import web
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import ValidationError

from app import composition, logs, settings
from core.licensing import licence_key
from core.store import database
from manifest import build as manifest_build
from tab.openapi import document
from wire.sealing import b64url


class CannotDoError(Exception):
    """A user can cause this: the message is the whole output."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except settings.SettingsError as error:
        print(f"pbx-teams: the settings are not complete:\n{error}", file=sys.stderr)
    except (CannotDoError, database.UnusableDatabaseError, manifest_build.ManifestError) as error:
        print(f"pbx-teams: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pbx-teams", description="The bridge between STARFACE and Microsoft Teams."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the service")
    serve.set_defaults(run=_serve)

    db = commands.add_parser("db", help="the database").add_subparsers(required=True, metavar="COMMAND")
    upgrade = db.add_parser("upgrade", help="create the schema or bring it up to date")
    upgrade.set_defaults(run=_db_upgrade)

    licence = commands.add_parser("licence", help="licence keys").add_subparsers(
        required=True, metavar="COMMAND"
    )
    vendor_key = licence.add_parser(
        "vendor-key", help="show the public half of a signing key for the settings"
    )
    vendor_key.add_argument("--signing-key", type=Path, required=True, metavar="PEM")
    vendor_key.set_defaults(run=_licence_vendor_key)
    issue = licence.add_parser("issue", help="make a licence key")
    issue.add_argument("--serial", required=True)
    issue.add_argument("--licensee", required=True)
    issue.add_argument("--seats", type=int, required=True)
    issue.add_argument("--from", dest="valid_from", type=date.fromisoformat, default=datetime.now(UTC).date())
    issue.add_argument(
        "--until", type=date.fromisoformat, help="last day; a year from the first if not given"
    )
    issue.add_argument("--kid", required=True, help="the vendor key's id")
    issue.add_argument(
        "--signing-key", type=Path, required=True, metavar="PEM", help="Ed25519 private key, PKCS 8"
    )
    issue.set_defaults(run=_licence_issue)
    inspect = licence.add_parser("inspect", help="read a licence key and say whether it would be accepted")
    inspect.add_argument("key", help="the licence key, or - to read it from standard input")
    inspect.add_argument(
        "--vendor-keys", type=json.loads, default=None, metavar="JSON", help="instead of the settings'"
    )
    inspect.set_defaults(run=_licence_inspect)

    manifest = commands.add_parser("manifest", help="the Teams app package").add_subparsers(
        required=True, metavar="COMMAND"
    )
    build = manifest.add_parser("build", help="build the package that is sideloaded")
    build.add_argument("--out", type=Path, default=Path("pbx-teams.zip"))
    build.set_defaults(run=_manifest_build)

    openapi = commands.add_parser("openapi", help="print the OpenAPI document of the tab API")
    openapi.set_defaults(run=_openapi)
    return parser


def _serve(_options: argparse.Namespace) -> int:
    loaded = settings.load()
    logs.set_up(loaded.log_level)
    database.upgrade(loaded.database_url)

    async def application() -> web.Application:
        return composition.create(loaded)

    logging.getLogger("app").info("serving", extra={"port": loaded.port, "public_url": loaded.public_url})
    try:
        web.run_app(
            application(),
            host=loaded.host,
            port=loaded.port,
            loop=uvloop.new_event_loop(),
            print=None,
            shutdown_timeout=loaded.shutdown_seconds,
            access_log=None,
        )
    except OSError as fault:
        raise CannotDoError(f"cannot listen on {loaded.host}:{loaded.port}: {fault.strerror}") from fault
    return 0


def _db_upgrade(_options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)
    print("The database schema is up to date.")
    return 0


def _licence_vendor_key(options: argparse.Namespace) -> int:
    print(b64url(_signing_key(options.signing_key).public_key().public_bytes_raw()))
    return 0


def _licence_issue(options: argparse.Namespace) -> int:
    until = options.until or options.valid_from + timedelta(days=365)
    try:
        key = licence_key.LicenceKey(
            serial=options.serial,
            licensee=options.licensee,
            seats=options.seats,
            valid_from=options.valid_from,
            valid_until=until,
        )
    except ValidationError as invalid:
        faults = "; ".join(
            f"{'.'.join(map(str, f['loc']))}: {f['msg']}".removeprefix(": ") for f in invalid.errors()
        )
        raise CannotDoError(f"no licence key was made: {faults}") from invalid
    print(licence_key.issue(key, _signing_key(options.signing_key), options.kid))
    return 0


def _licence_inspect(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.key == "-" else options.key
    encoded = options.vendor_keys if options.vendor_keys is not None else settings.load().vendor_keys
    faults: list[str] = []
    try:
        content = licence_key.peek(text)
        print(json.dumps(content, indent=2))
        key = licence_key.read(text, licence_key.vendor_keys(encoded))
    except licence_key.InvalidLicenceKeyError as invalid:
        faults.append(invalid.fault)
    except ValueError as fault:
        raise CannotDoError(f"the vendor keys cannot be read: {fault}") from fault
    else:
        today = datetime.now(UTC)
        if today < key.starts:
            faults.append("key-not-yet-valid")
        if today >= key.ends:
            faults.append("key-expired")
    print(f"would be refused: {', '.join(faults)}" if faults else "would be accepted")
    return 1 if faults else 0


def _signing_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as fault:
        raise CannotDoError(f"cannot read {path}: {fault.strerror}") from fault
    except (ValueError, TypeError, UnsupportedAlgorithm) as fault:
        raise CannotDoError(f"{path} is not a private key in PEM, or it has a password") from fault
    if not isinstance(key, Ed25519PrivateKey):
        raise CannotDoError(f"{path} is not an Ed25519 key (make one: openssl genpkey -algorithm ed25519)")
    return key


def _manifest_build(options: argparse.Namespace) -> int:
    loaded = settings.load()
    manifest_build.build(
        manifest_build.PackageSettings(
            public_url=loaded.public_url,
            app_id=loaded.app_id,
            teams_app_id=loaded.teams_app_id,
            application_id_uris=loaded.application_id_uris,
        ),
        options.out,
    )
    print(f"Wrote {options.out}: sideload it in Teams under Apps, Manage your apps, Upload an app.")
    return 0


def _openapi(_options: argparse.Namespace) -> int:
    print(json.dumps(document(), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
