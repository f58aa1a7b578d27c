"""The demonstration: the service, the simulated systems around it, and a connector that links the two.

Service and connector are started by their own commands with their own configuration, as in production; they contain
no code for the simulation.
"""

import argparse
import asyncio
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from simulator.people import (
    APP_ID,
    APP_SECRET,
    LICENCE_PERMISSION,
    PBX_NAME,
    PEOPLE,
    TEAMS_APP_ID,
    TENANT_ID,
)
from simulator.reloading import build_page, reload
from simulator.starface.model import CLIENT_SECRET
from wire.bounds import b64url

START_SECONDS: Final = 40.0
STOP_SECONDS: Final = 15.0
VENDOR_KID: Final = "demo"
SEATS: Final = 12
COMPANY_KEY_AGE: Final = timedelta(days=40)
DEFAULT_STATE: Final = Path(".demo")
LOCK: Final = "lock"
PORTS: Final = 5
PORT_STEP: Final = 10
PORT_STEPS: Final = 50


class CannotRunError(Exception):
    """Raised for a problem that the presenter can fix."""


@dataclass(frozen=True, slots=True)
class Site:
    """A customer's site: one PBX and its connector."""

    pbx_name: str
    starface_port: int
    suffix: str = ""
    """Appended to the names of its processes and files."""

    @property
    def serial(self) -> str:
        return f"DEMO{self.suffix or '-1'}"


SECOND_PBX_NAME: Final = "branch.example.com"
CONNECTOR: Final = "connector.cli"


class Demo:
    """The ports, files and processes of one demonstration."""

    def __init__(
        self,
        options: argparse.Namespace,
        *,
        with_company: bool = False,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`with_company`: the demo people have colleagues, and three weeks of history. `report` gets a line of text
        before each step of the start.
        """
        self.with_company = with_company
        self._report = report
        self.state: Path = options.state.absolute()
        self.pbx_version: str = options.pbx_version
        self.login_type: str = options.login_type
        self.seats: int = options.seats
        self.database_url: str | None = options.database_url
        self.nats_url: str | None = options.nats_url
        self.service_port, self.teams_port, self.starface_port, self.entra_port = range(
            options.first_port, options.first_port + 4
        )
        self.site = Site(PBX_NAME, self.starface_port)
        self.second = Site(SECOND_PBX_NAME, options.first_port + 4, "-2") if options.two_pbxs else None
        self.service_url = f"http://127.0.0.1:{self.service_port}"
        self.teams_url = f"http://localhost:{self.teams_port}"
        self.processes: list[tuple[str, asyncio.subprocess.Process]] = []
        self._enrolment_codes: dict[str, str] = {}

    async def start(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.state.glob("*.log"):
            old.unlink()
        self._report("Starting the simulated PBX, Teams and Entra ID …")
        await self.start_pbx(self.site)
        await self.start_teams()
        await self.start_entra()
        self.write_settings()
        self._report("Starting the service …")
        await self.start_service()
        self._report("Linking the PBX with its connector …")
        await self.start_connector()
        if self.with_company:
            self._report("Writing three weeks of history …")
            await self.write_history()
        if self.second is not None:
            self._report("Starting the second PBX …")
            await self.start_site(self.second)
        self._still_running()

    async def start_pbx(self, site: Site) -> None:
        await self._spawn(
            f"starface{site.suffix}",
            *(sys.executable, "-m", "simulator", "starface", "--port", str(site.starface_port)),
            *("--pbx-version", self.pbx_version, "--login-type", self.login_type),
            *(("--company",) if self.with_company and site is self.site else ()),
        )
        await self._answers(f"http://127.0.0.1:{site.starface_port}/control/state")

    async def start_site(self, site: Site) -> None:
        """Start another PBX with its connector."""
        await self.start_pbx(site)
        await self.start_connector(site)

    async def stop_site(self, site: Site) -> None:
        await self.stop_part(f"connector{site.suffix}")
        await self.stop_part(f"starface{site.suffix}")

    async def start_entra(self) -> None:
        await self._spawn(
            "entra",
            *(sys.executable, "-m", "simulator", "entra", "--port", str(self.entra_port)),
            *("--state", str(self.state / "entra")),
        )
        await self._answers(f"http://127.0.0.1:{self.entra_port}/")

    async def start_teams(self) -> None:
        await self._spawn(
            "teams",
            *(sys.executable, "-m", "simulator", "teams", "--port", str(self.teams_port)),
            *("--service", self.service_url, "--entra", f"http://127.0.0.1:{self.entra_port}"),
            *("--starface", f"http://127.0.0.1:{self.starface_port}"),
        )
        await self._answers(f"http://127.0.0.1:{self.teams_port}/host/people")

    async def start_service(self, **settings: str) -> None:
        """Start the service. `settings` replaces the demonstration's own settings file."""
        await self.start_replica("service", self.service_port, **settings)

    async def start_replica(self, name: str, port: int, **settings: str) -> None:
        """Start one service process; with NATS_URL there may be several."""
        environment = self.service_environment() | {"PBX_TEAMS_PORT": str(port)} | settings
        await self._spawn(name, sys.executable, "-m", "app.cli", "serve", env=environment)
        await self._answers(f"http://127.0.0.1:{port}/readyz")

    async def start_connector(
        self,
        site: Site | None = None,
        *,
        environment: dict[str, str] | None = None,
        module: str = CONNECTOR,
        **changes: str,
    ) -> None:
        """Start the connector. `changes` overrides values of its configuration; `module` runs a different
        connector.
        """
        site = site or self.site
        await self.write_connector_configuration(site, **changes)
        await self.write_key_file(site)
        links = self._links_opened(site)
        await self.spawn_connector(environment, site, module)

        async def linked(_http: aiohttp.ClientSession) -> bool:
            return self._links_opened(site) > links

        await self._until(linked, "the connector has no link")

    async def connector(self, *arguments: str) -> str:
        """Run a command of the first site's connector, and return its output."""
        return await self._output(
            *(sys.executable, "-m", "connector.cli", *self._connector_options(self.site), *arguments)
        )

    async def write_key_file(self, site: Site | None = None) -> None:
        site = site or self.site
        command = (sys.executable, "-m", "connector.cli", *self._connector_options(site))
        await self._output(*command, "key", "file", "--out", str(self.key_file_of(site)))

    async def spawn_connector(
        self,
        environment: dict[str, str] | None = None,
        site: Site | None = None,
        module: str = CONNECTOR,
    ) -> None:
        site = site or self.site
        command = (sys.executable, "-m", module, *self._connector_options(site), "run")
        await self._spawn(f"connector{site.suffix}", *command, env=os.environ | (environment or {}))

    async def write_history(self) -> None:
        """Write what the colleagues did in the last weeks, up to now."""
        await self._output(
            *(sys.executable, "-m", "infra.showcase.history"),
            *("--database-url", self.database_address, "--pbx-name", self.site.pbx_name),
        )

    @property
    def gateway_url(self) -> str:
        """Return the URL to which a bot client without tokens sends its activities."""
        return f"http://127.0.0.1:{self.teams_port}/api/messages"

    @property
    def key_file(self) -> Path:
        return self.key_file_of(self.site)

    def key_file_of(self, site: Site) -> Path:
        return self.state / f"{site.pbx_name}.pbxkey"

    @property
    def connector_configuration(self) -> Path:
        return self._configuration_of(self.site)

    def _configuration_of(self, site: Site) -> Path:
        return self.state / f"connector{site.suffix}.toml"

    def _connector_options(self, site: Site) -> tuple[str, ...]:
        return "--config", str(self._configuration_of(site))

    def pbx_key(self, site: Site | None = None) -> str:
        return str(json.loads(self.key_file_of(site or self.site).read_text())["pbxKey"])

    def service_environment(self) -> dict[str, str]:
        """Return the service's environment: its settings, and the trust in the simulator's certificates."""
        ca = str(self.state / "entra" / "ca.pem")
        return os.environ | {
            "SSL_CERT_FILE": ca,
            "REQUESTS_CA_BUNDLE": ca,
            "NO_PROXY": "127.0.0.1,localhost",
            "PBX_TEAMS_ENV_FILE": str(self.state / "service.env"),
        }

    async def write_connector_configuration(self, site: Site | None = None, **changes: str) -> None:
        """Write the connector's configuration file. `changes` overrides single values."""
        site = site or self.site
        name = changes.get("name", site.pbx_name)
        code = await self.enrolment_code(name)
        keys = changes.get("keys") or json.dumps([await self._own_licence_key(site)])
        uses_oauth = int(self.pbx_version.split(".")[0]) >= 10
        auth = (
            f'auth = "oauth"\noauth_client_secret = "{CLIENT_SECRET}"' if uses_oauth else 'auth = "classic"'
        )
        content = f"""\
active = {changes.get("active", "true")}
state_directory = {json.dumps(str(self.state / f"connector{site.suffix}"))}

[service]
url = "{changes.get("service_url", self.service_url)}"
{f'enrolment_code = "{code}"' if code else ""}

[pbx]
name = "{name}"
url = "http://127.0.0.1:{site.starface_port}"
login = "0001"
password = "foobar"
{auth}
licence_permission = "{LICENCE_PERMISSION}"

[uci]
enabled = {changes.get("uci", "true")}

[licences]
keys = {keys}

[status]
port = {changes.get("status_port", "0")}
"""
        file = self._configuration_of(site)
        file.touch(mode=0o600)
        file.write_text(content, encoding="utf-8")

    async def enrolment_code(self, name: str) -> str:
        """Create the code that an operator gives to the installer of a connector; empty if the name already has its
        PBX.
        """
        if name not in self._enrolment_codes:
            command = (sys.executable, "-m", "app.cli", "pbx", "enrol", name, "--json")
            try:
                said = json.loads(await self._output(*command, env=self.service_environment()))
                self._enrolment_codes[name] = said["enrolmentCode"]
            except CannotRunError as refused:
                if "belongs to an installation already" not in str(refused):
                    raise
                self._enrolment_codes[name] = ""
        return self._enrolment_codes[name]

    async def _own_licence_key(self, site: Site) -> str:
        """Issue the key that the connector is configured with. A company with a history has had it for some weeks."""
        since = (datetime.now(UTC) - COMPANY_KEY_AGE).replace(day=1).date()
        more = ("--from", since.isoformat()) if self.with_company else ()
        return await self.licence_key(self.seats, site.serial, *more)

    async def licence_key(self, seats: int, serial: str = "DEMO-1", *more: str) -> str:
        """Issue a licence key. `more` holds further arguments of `pbx-teams licence issue`."""
        return await self._output(
            *(sys.executable, "-m", "app.cli", "licence", "issue", "--serial", serial),
            *("--licensee", "Example Ltd", "--seats", str(seats), "--kid", VENDOR_KID),
            *("--signing-key", str(self.vendor_key), *more),
        )

    @property
    def database_address(self) -> str:
        return self.database_url or f"sqlite:///{self.state / 'pbx-teams.db'}"

    @property
    def vendor_key(self) -> Path:
        return self.state / "vendor.pem"

    async def stop(self) -> None:
        """Stop all parts in the order of their dependencies, and give each time to close its connections."""
        if self.second is not None:
            await self.stop_site(self.second)
        for name in ("connector", "service", "teams", "starface", "entra"):
            await self.stop_part(name)

    async def stop_part(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        for entry in [entry for entry in self.processes if entry[0] == name]:
            self.processes.remove(entry)
            process = entry[1]
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    def log(self, name: str) -> Path:
        return self.state / f"{name}.log"

    def write_settings(self) -> None:
        """Write the service's settings file."""
        secrets_file = self.state / "pepper"
        if not secrets_file.exists():
            secrets_file.touch(mode=0o600)
            secrets_file.write_text(secrets.token_urlsafe(32))
        if not self.vendor_key.exists():
            key = Ed25519PrivateKey.generate()
            self.vendor_key.touch(mode=0o600)
            self.vendor_key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        settings = {
            "HOST": "127.0.0.1",
            "PORT": str(self.service_port),
            # Teams reaches the tab through the host page, which proxies it under its own origin.
            "PUBLIC_URL": self.teams_url,
            "KEY_PEPPER": secrets_file.read_text(),
            "APP_ID": APP_ID,
            "APP_TENANT_ID": TENANT_ID,
            "APP_PASSWORD": APP_SECRET,
            "APPLICATION_ID_URIS": f"api://localhost:{self.teams_port}/{APP_ID}",
            "ALLOWED_TENANTS": TENANT_ID,
            "TEAMS_APP_ID": TEAMS_APP_ID,
            "VENDOR_KEYS": json.dumps({VENDOR_KID: _public_of(self.vendor_key)}),
            "ENTRA_AUTHORITY": f"https://127.0.0.1:{self.entra_port}",
            "CHANNEL_HOSTS": "127.0.0.1,localhost",
            "CALL_RECORDS": "true",
            "DOWNLOADS": str(self.state / "downloads"),
            # Tests act for three users, much faster than real users.
            "CHANGES_PER_MINUTE": "20000",
            "METRICS_TOKEN": self.metrics_token(),
            "GRAPH_URL": f"https://127.0.0.1:{self.entra_port}/graph",
            "CHANNEL_METADATA_URL": f"https://127.0.0.1:{self.entra_port}/botframework/.well-known/openidconfiguration",
        }
        lines = [f"PBX_TEAMS_{name}='{value}'" for name, value in settings.items()]
        lines.append(f"DATABASE_URL='{self.database_address}'")
        if self.nats_url is not None:
            lines.append(f"NATS_URL='{self.nats_url}'")
        file = self.state / "service.env"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def metrics_token(self) -> str:
        """Return the token that Prometheus would use."""
        file = self.state / "metrics-token"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(32))
        return file.read_text()

    async def _output(self, *command: str, env: dict[str, str] | None = None) -> str:
        process = await asyncio.create_subprocess_exec(
            *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        if process.returncode:
            raise CannotRunError(f"{' '.join(command[1:4])}: {err.decode().strip()}")
        return out.decode().strip()

    async def _spawn(self, name: str, *command: str, env: dict[str, str] | None = None) -> None:
        log = await asyncio.to_thread(self.log(name).open, "ab")
        with log:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append((name, process))

    async def _answers(self, url: str) -> None:
        async def ready(http: aiohttp.ClientSession) -> bool:
            async with http.get(url) as answer:
                return answer.status == 200

        await self._until(ready, f"{url} does not answer")

    def _links_opened(self, site: Site) -> int:
        """Return how often the connector has said hello. One that is switched off closes its link at once."""
        log = self.log(f"connector{site.suffix}")
        text = log.read_text(errors="replace") if log.exists() else ""
        return text.count("link open") + text.count("the connector is switched off; the service knows")

    async def _until(self, ready: Callable[[aiohttp.ClientSession], Awaitable[bool]], complaint: str) -> None:
        try:
            async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as http:
                while True:
                    self._still_running()
                    with suppress(aiohttp.ClientError, OSError):
                        if await ready(http):
                            return
                    await asyncio.sleep(0.05)
        except TimeoutError as slow:
            raise CannotRunError(f"{complaint}; see the logs in {self.state}") from slow

    async def any_ended(self) -> None:
        """Wait until a part ends unexpectedly. Raises with the end of its log."""
        waits = [asyncio.create_task(process.wait()) for _, process in self.processes]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            self._still_running()
        finally:
            for wait in waits:
                wait.cancel()

    def _still_running(self) -> None:
        for name, process in self.processes:
            if process.returncode is not None:
                end = self.log(name).read_text(errors="replace").strip().splitlines()[-3:]
                raise CannotRunError(f"{name} has ended:\n  " + "\n  ".join(end))


async def run(options: argparse.Namespace) -> int:
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(options.state)
    try:
        if options.fresh:
            _delete_content(options.state)
        return await _run(options)
    finally:
        lock.close()


def _lock(state: Path) -> TextIO:
    """Reserve the folder for this process. Raises CannotRunError while another demonstration uses it."""
    file = (state / LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise CannotRunError(
            f"a demonstration is running with the folder {state} already. Stop it with Ctrl-C in its terminal,"
            f" or give this one a folder of its own: --state {state}-2"
        ) from None
    return file


def _delete_content(state: Path) -> None:
    for entry in state.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()


def find_free_ports(first: int, count: int = PORTS) -> int:
    """Return the first of `count` consecutive ports that are free: `first`, or the next ones after it. Raises
    CannotRunError if there are none.
    """
    for candidate in range(first, min(first + PORT_STEPS * PORT_STEP, 65_536 - count), PORT_STEP):
        if all(_is_free(port) for port in range(candidate, candidate + count)):
            return candidate
    raise CannotRunError(f"there are no {count} free ports from {first} on; give others: --first-port PORT")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port whose last connections are closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _say(text: str) -> None:
    print(text, flush=True)


async def _run(options: argparse.Namespace) -> int:
    first = find_free_ports(options.first_port)
    if first != options.first_port:
        _say(
            f"Ports from {options.first_port} on are in use; this demonstration takes {first} to {first + PORTS - 1}."
        )
        options.first_port = first
    demo = Demo(options, with_company=not options.bare, report=_say)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await demo.start()
        # The usual state folder is hidden, so file choosers do not show it.
        shown = demo.key_file
        if demo.state == DEFAULT_STATE.absolute():
            shown = Path(shutil.copy(demo.key_file, Path.cwd()))
        _print_words(demo, shown)
        # With `--reload`, a part that has ended is restarted at the next change of its code.
        ended = asyncio.create_task(_reload(demo) if options.reload else demo.any_ended())
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
        print("\nStopping …", flush=True)
    finally:
        await demo.stop()
    return 0


async def _reload(demo: Demo) -> None:
    page = await build_page()
    try:
        await reload(demo)
    finally:
        if page.returncode is None:
            page.terminate()
            await page.wait()


def _print_words(demo: Demo, key_file: Path) -> None:
    people = "\n".join(
        f"    {person.name:<12} {person.role:<14} PBX login {person.login}, password {person.password}"
        for person in PEOPLE
    )
    second = (
        f"""
  Second     {demo.second.pbx_name}, key {demo.pbx_key(demo.second)}
"""
        if demo.second is not None
        else ""
    )
    print(
        f"""
PBX for Teams is running.

  Open       {demo.teams_url}
             (a Teams host with the tab and the chat with the bot; the switch at the top changes the person)

  PBX name   {PBX_NAME}
  PBX key    {demo.pbx_key()}
  Key file   {key_file}
{second}
  People
{people}

  STARFACE   http://127.0.0.1:{demo.starface_port} (version {demo.pbx_version}, control API under /control/)
  Entra ID   https://127.0.0.1:{demo.entra_port}
  Service    {demo.service_url} (API: pbx-teams openapi)
  Logs       {demo.state}

Ctrl-C stops everything; what is kept lies in {demo.state}.""",
        flush=True,
    )


def _public_of(path: Path) -> str:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)  # noqa: S101 - made above
    return b64url(key.public_key().public_bytes_raw())
