"""`pbx-teams`: the service and its tools."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from app import collector, composition, logs, pbx_commands, server, settings, signing_key
from app.errors import CannotDoError
from core.audio import comparison
from core.audio.device import AudioDevice
from core.diagnosis.finding import Finding
from core.language import Language
from core.licensing import licence_key
from core.licensing.ledger import SeatsHeld, open_ledger
from core.licensing.session import Session
from core.store import database
from core.store.moments import now
from manifest import build as manifest_build
from manifest.checks import ManifestError
from tab.openapi import document
from wire.sealing import b64url


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except settings.SettingsError as error:
        print(f"pbx-teams: the settings are not complete:\n{error}", file=sys.stderr)
    except (
        CannotDoError,
        signing_key.NoSigningKeyError,
        database.UnusableDatabaseError,
        ManifestError,
    ) as error:
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
    _add_signing_key(vendor_key)
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
    _add_signing_key(issue)
    issue.set_defaults(run=_licence_issue)
    inspect = licence.add_parser("inspect", help="read a licence key and say whether it would be accepted")
    inspect.add_argument("key", help="the licence key, or - to read it from standard input")
    inspect.add_argument(
        "--vendor-keys", type=json.loads, default=None, metavar="JSON", help="instead of the settings'"
    )
    inspect.set_defaults(run=_licence_inspect)
    release = licence.add_parser(
        "release", help="unbind a licence key from its PBX, so that another may use it"
    )
    release.add_argument("serial")
    release.add_argument(
        "--end-sessions", action="store_true", help="although seats are held; their users are told"
    )
    release.set_defaults(run=_licence_release)

    pbx_commands.add_parser(commands)

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
    build.set_defaults(run=_manifest_build)

    audio = commands.add_parser("audio", help="the audio advisor").add_subparsers(
        required=True, metavar="COMMAND"
    )
    compare = audio.add_parser("compare", help="are two device names the same physical device?")
    compare.add_argument("one", metavar="A", help="a device's name as some program shows it")
    compare.add_argument("other", metavar="B", help="another")
    compare.add_argument("--json", action="store_true", help="verdict and reason as JSON")
    compare.set_defaults(run=_audio_compare)

    openapi = commands.add_parser("openapi", help="print the OpenAPI document of the tab API")
    openapi.set_defaults(run=_openapi)
    return parser


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


def _serve(_options: argparse.Namespace) -> int:
    loaded = settings.load()
    logs.set_up(loaded.log_level)
    database.upgrade(loaded.database_url)

    async def run() -> None:
        app = composition.create(loaded)
        collector.settle()
        await server.serve(app, loaded.host, loaded.port, loaded.shutdown_seconds)

    logging.getLogger("app").info("serving", extra={"port": loaded.port, "public_url": loaded.public_url})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except OSError as fault:
        raise CannotDoError(f"cannot listen on {loaded.host}:{loaded.port}: {fault.strerror}") from fault
    return 0


def _db_upgrade(_options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)
    print("The database schema is up to date.")
    return 0


def _licence_vendor_key(options: argparse.Namespace) -> int:
    print(b64url(_signing_key(options).public_key().public_bytes_raw()))
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
    print(licence_key.issue(key, _signing_key(options), options.kid))
    return 0


def _licence_inspect(options: argparse.Namespace) -> int:
    text = sys.stdin.read() if options.key == "-" else options.key
    encoded = options.vendor_keys if options.vendor_keys is not None else settings.load().vendor_keys
    try:
        vendors = licence_key.vendor_keys(encoded)
    except ValueError as fault:
        raise CannotDoError(f"the vendor keys cannot be read: {fault}") from fault
    inspected = licence_key.inspect(text, vendors, datetime.now(UTC))
    if inspected.content is not None:
        print(json.dumps(inspected.content, indent=2))
    for reason in inspected.faults:
        print(f"would be refused: {reason.code}: {reason.words}")
    if not inspected.faults:
        print("would be accepted, unless it is bound to another PBX already")
    return 1 if inspected.faults else 0


def _licence_release(options: argparse.Namespace) -> int:
    url = settings.load().database_url
    database.upgrade(url)

    async def release() -> tuple[Session, ...] | SeatsHeld | Finding:
        ledger = open_ledger(database.address_of(url))
        try:
            return await ledger.release_key(
                options.serial, "operator", now(), end_sessions=options.end_sessions
            )
        finally:
            await ledger.close()

    outcome = asyncio.run(release())
    if isinstance(outcome, Finding):
        raise CannotDoError(f"no PBX uses a licence key with the serial {options.serial!r}")
    if isinstance(outcome, SeatsHeld):
        raise CannotDoError(
            f"{outcome.count} sessions hold seats of {options.serial!r}; with --end-sessions they end"
        )
    ended = f"; {len(outcome)} sessions were ended and their users are told" if outcome else ""
    print(f"{options.serial} is bound to no PBX any more{ended}. The first connector that brings it gets it.")
    return 0


def _signing_key(options: argparse.Namespace) -> Ed25519PrivateKey:
    if options.signing_key is not None:
        return signing_key.from_file(options.signing_key)
    return signing_key.from_vault(*options.signing_key_vault)


def _manifest_build(options: argparse.Namespace) -> int:
    loaded = settings.load_app(options.settings)
    manifest_build.build(
        manifest_build.PackageSettings(
            public_url=loaded.public_url,
            app_id=loaded.app_id,
            bot_id=loaded.bot_app_id,
            teams_app_id=loaded.teams_app_id,
            application_id_uris=loaded.application_id_uris,
            developer_name=loaded.developer_name,
            developer_url=loaded.developer_url,
            privacy_url=loaded.privacy_url,
            terms_url=loaded.terms_url,
        ),
        options.out,
    )
    print(f"Wrote {options.out} (version {manifest_build.app_version()}, languages en and de).")
    print("Sideload it in Teams under Apps, Manage your apps, Upload an app; docs/install.md has the rest.")
    return 0


def _audio_compare(options: argparse.Namespace) -> int:
    compared = comparison.compare(AudioDevice(options.one), AudioDevice(options.other))
    if options.json:
        print(json.dumps({"verdict": compared.verdict, "reason": compared.reason}))
    else:
        print(f"{compared.verdict}: {compared.words(Language.EN)} ({compared.reason})")
    return 0


def _openapi(_options: argparse.Namespace) -> int:
    print(json.dumps(document(), indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
