"""`python -m simulator`: runs one simulated part, or the whole demonstration."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web

from simulator import demo, entra, tls
from simulator.starface import server as starface
from simulator.starface.model import LoginType, Settings
from simulator.teams import server as teams


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    run: Callable[[argparse.Namespace], Awaitable[int]] = options.run
    try:
        return asyncio.run(_run(run, options))
    except KeyboardInterrupt:
        return 0
    except OSError as fault:
        print(f"simulator: {fault.strerror or fault}", file=sys.stderr)
    except demo.CannotRunError as fault:
        print(f"simulator: {fault}", file=sys.stderr)
    return 1


async def _run(run: Callable[[argparse.Namespace], Awaitable[int]], options: argparse.Namespace) -> int:
    return await run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parts = parser.add_subparsers(required=True, metavar="PART")

    pbx = parts.add_parser("starface", help="a STARFACE: REST, OAuth, UCI, and a control API under /control/")
    pbx.add_argument("--port", type=int, default=3980)
    pbx.add_argument("--pbx-version", default="6.7.3.20", help="from 10 on with OAuth")
    pbx.add_argument("--login-type", choices=list(LoginType), default=LoginType.INTERNAL)
    pbx.add_argument("--company", action="store_true", help="with the colleagues of the demonstration")
    pbx.set_defaults(run=_starface)

    identity = parts.add_parser("entra", help="an Entra ID and Bot Framework login, by TLS and plain HTTP")
    identity.add_argument("--port", type=int, default=3981)
    identity.add_argument("--state", type=Path, help="keeps ca.pem; a new temporary directory if not given")
    identity.set_defaults(run=_entra)

    host = parts.add_parser("teams", help="a Teams host page and a channel for the bot")
    host.add_argument("--port", type=int, default=3979)
    host.add_argument("--service", default="http://127.0.0.1:3978")
    host.add_argument("--entra", default="http://127.0.0.1:3981", help="plain HTTP will do")
    host.add_argument("--starface", default="http://127.0.0.1:3980", help="whose telephones the page drives")
    host.set_defaults(run=_teams)

    everything = parts.add_parser("demo", help="everything, with service and connector, as 'make run' does")
    everything.add_argument("--state", type=Path, default=demo.DEFAULT_STATE)
    everything.add_argument("--fresh", action="store_true", help="forget what an earlier demonstration kept")
    everything.add_argument("--pbx-version", default="6.7.3.20")
    everything.add_argument("--login-type", choices=list(LoginType), default=LoginType.INTERNAL)
    everything.add_argument("--seats", type=int, default=demo.SEATS, help="floating licences of the PBX")
    everything.add_argument("--bare", action="store_true", help="without colleagues and history")
    everything.add_argument(
        "--database-url", help="another database than the SQLite file, for instance postgresql+asyncpg://…"
    )
    everything.add_argument("--nats-url", help="with PostgreSQL: the service is one of several replicas")
    everything.add_argument(
        "--first-port",
        type=int,
        default=3978,
        help="service; the others follow it. If they are in use, the next free ones",
    )
    everything.add_argument(
        "--two-pbxs", action="store_true", help=f"a second PBX beside the first: {demo.SECOND_PBX_NAME}"
    )
    everything.add_argument("--reload", action="store_true", help="start a part again when its code changes")
    everything.set_defaults(run=demo.run)
    return parser


async def _starface(options: argparse.Namespace) -> int:
    settings = Settings(
        version=options.pbx_version,
        login_type=LoginType(options.login_type),
        oauth=int(options.pbx_version.split(".")[0]) >= 10,
    )
    await _listen(starface.create(settings, with_company=options.company), "127.0.0.1", options.port)
    print(
        f"STARFACE {options.pbx_version} on http://127.0.0.1:{options.port} (administrator login 0001)",
        flush=True,
    )
    return await _forever()


async def _entra(options: argparse.Namespace) -> int:
    state = options.state or Path(tempfile.mkdtemp(prefix="simulator-entra-"))
    if not (state / "server.pem").exists():
        tls.make_certificates(state)
    url = f"https://127.0.0.1:{options.port}"
    app = entra.create(url)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context(state)).start()
    plain, secure = (address[1] for address in runner.addresses)
    await tls.BothWays(plain, secure).listen("127.0.0.1", options.port)
    print(f"Entra ID on {url} and http://127.0.0.1:{options.port} (trust {state / 'ca.pem'})", flush=True)
    return await _forever()


async def _teams(options: argparse.Namespace) -> int:
    own_url = f"http://127.0.0.1:{options.port}"
    app = teams.create(
        service_url=options.service, entra_url=options.entra, own_url=own_url, starface_url=options.starface
    )
    await _listen(app, "127.0.0.1", options.port)
    print(f"Teams host on http://localhost:{options.port}", flush=True)
    return await _forever()


async def _listen(app: web.Application, host: str, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()


async def _forever() -> int:
    await asyncio.Event().wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
