"""The running connector. It follows its configuration file: what changes there takes effect at once, and only the parts
that depend on it start again. A file that cannot be used is reported, and the configuration in use is kept.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from connector import __version__
from connector.config import Config
from connector.config_file import Changes, ConfigFile
from connector.doctor.doctor import examine_running
from connector.errors import ConnectorError
from connector.link import LinkClient, LinkParts
from connector.log_file import last_day
from connector.network.target import Target
from connector.network.tls import context_for
from connector.pbx_side import PARTS, PbxSide, uci_section
from connector.repairs import RepairMethods
from connector.secrets_removed import SecretRemover
from connector.state import ConnectorState
from connector.status import ConfigurationState, ConnectorStatus, PartStatus, StatusPage
from connector.supervisor import Supervisor
from connector.support_file import make_support_file
from wire.doctor import DoctorReport
from wire.jsonrpc import Handler
from wire.link import UciState
from wire.pbxkey import KeyFile, PbxKey

logger = logging.getLogger(__name__)

FIRST_CHECK_SECONDS: Final = 5.0
STOP_SECONDS: Final = 1.2
"""How long the parts may take to stop. With the log-out and the status page, the program ends within three seconds."""
LOOK_SECONDS: Final = 1.0
"""How often the file is checked for changes."""
SETTLED_SECONDS: Final = 0.5
"""How long the file must be unchanged before it is read, because some editors write it in several steps."""
UCI_SECONDS: Final = 20.0
"""How long to wait for UCI to come on; after that its state is reported as it is."""
LINK: Final = "link"
WATCH: Final = "configuration"
_OF_LINK: Final = frozenset({"service", "licences", "teams", "active"})
"""Sections that the hello to the service depends on."""


class Connector:
    """The parts that run, and what the module page, the command line and repairs from Teams can do with them.

    The methods that change something may be called at any time, also at the same time.
    """

    def __init__(self, path: Path, config: Config) -> None:
        """`config` is what `path` contains. Raises `ConnectorError` if a file that it names cannot be read."""
        self.file = ConfigFile(path)
        self.config = config
        self.state = ConnectorState(config.state_directory)
        self.state.pbx_key()
        self._contents = _contents(config)
        self._started_at = self._read_at = datetime.now(UTC)
        self._fault: str | None = None
        self._fault_since: datetime | None = None
        self._changing = asyncio.Lock()
        self.changed = asyncio.Event()
        """Set whenever another configuration has taken effect."""
        self._supervisor = Supervisor()
        self._more_parts: dict[str, Callable[[], Awaitable[None]]] = {}
        self._examining = asyncio.Lock()
        self.side = PbxSide(config, self.state)
        self.link = LinkClient(self._link_parts(config))
        self._page: StatusPage | None = None
        self._remover = SecretRemover(self._secrets())

    # Running

    def add_part(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Add a part that runs as long as the connector. Call this before `run`."""
        self._more_parts[name] = run

    async def run(self, stopped: asyncio.Event) -> None:
        """Run until `stopped` is set."""
        for warning in self.config.in_clear():
            logger.warning("%s", warning)
        await self._open_page()
        for name, run in self._more_parts.items():
            self._supervisor.start(name, run)
        await _first_check(self.side, stopped)
        self._start_side()
        self._supervisor.start(LINK, self.link.run)
        self._supervisor.start(WATCH, self._watch)
        await stopped.wait()
        await self._supervisor.stop(STOP_SECONDS)
        await self.side.close()
        await self._close_page()
        logger.info("stopped")

    def remover(self) -> SecretRemover:
        """Return the remover for the connector's current secrets."""
        return self._remover

    # Reporting

    def status(self) -> ConnectorStatus:
        previous = self.state.previous_pbx_key()
        link = self.link
        return ConnectorStatus(
            pbx_name=self.config.pbx.name,
            service=self.config.service.url,
            identity=self.state.fingerprint,
            connector_version=__version__,
            started_at=self._started_at,
            linked=link.is_open.is_set(),
            linked_since=link.opened_at if link.is_open.is_set() else None,
            links_opened=link.links_opened,
            last_fault=link.last_fault,
            pbx=self.side.monitor.status,
            events_received=self.side.uci.events_received,
            old_key_until=previous[1] if previous is not None else None,
            parts=[
                PartStatus(
                    name=part.name,
                    running=part.running,
                    restarts=part.restarts,
                    last_fault=part.last_fault,
                    failed_at=part.failed_at,
                )
                for part in self._supervisor.parts.values()
            ],
            configuration=ConfigurationState(
                file=str(self.file.path),
                read_at=self._read_at,
                fault=self._fault,
                fault_since=self._fault_since,
            ),
            active=self.config.active,
            uci=self.side.uci.state,
            uci_enabled=self.config.uci.enabled,
            repairs_from_teams=self.config.teams.repairs,
            licence_keys=list(link.licence_keys),
        )

    async def examine(self) -> DoctorReport:
        """Run the doctor, one run at a time, because it logs in to the PBX as a technician would."""
        async with self._examining:
            self.side.monitor.request_check()
            return await examine_running(self.file.path, self.config, self.state)

    def log(self) -> str:
        """Return the log of the last day without secrets, at most two megabytes, oldest line first."""
        return last_day(self.state.directory, self._remover)

    async def support_file(self) -> bytes:
        """Return a ZIP archive for support, without secrets. It takes as long as the doctor."""
        report = await self.examine()
        log = await asyncio.to_thread(self.log)
        return make_support_file(self.config, report, self.status(), log, self._remover)

    def key_file(self) -> KeyFile:
        return self.state.key_file(self.config.pbx.name)

    # Changing

    async def change(self, changes: Changes | Callable[[Config], Changes]) -> None:
        """Write the changes into the configuration file, and let them take effect.

        They are checked first. Raises `ConnectorError` if they cannot be used or written; then nothing has changed. Changes
        that depend on the present configuration are a function of it, because somebody else may change it at the same time.
        """
        async with self._changing:
            if callable(changes):
                changes = changes(self.config)
            config = self.file.preview(changes)
            _check_usable(config)
            await asyncio.to_thread(self.file.change, changes)
            await self._take(config)

    async def restart_uci(self) -> UciState:
        """Switch UCI off and on again: log everybody out of the PBX, close the callbacks, open them and log in again.

        Return the state afterwards: `OFF` if the configuration has it switched off, `ON` if the PBX has taken the login,
        otherwise what it is after `UCI_SECONDS`. A crash in the middle leaves nothing switched off.
        """
        async with self._changing:
            await self._switch_uci(self.config)
        return await self._settled_uci()

    def new_key(self, keep_old: timedelta, request: str | None = None) -> PbxKey:
        """Make a new PBX key; the old one stays valid for `keep_old`. The link opens again with it within seconds.

        `request` identifies one request: repeated, it returns the key that it has already made. Raises `ConnectorError`.
        """
        key = self.state.renew_pbx_key(keep_old, request)
        self._remover = SecretRemover(self._secrets())
        logger.info("a new PBX key was made", extra={"keep_old_hours": keep_old.total_seconds() / 3600})
        return key

    async def reload(self) -> None:
        """Read the file again and apply it. If it cannot be used, say so and keep the configuration in use."""
        async with self._changing:
            try:
                config = self.file.load()
                _check_usable(config)
                await self._take(config)
            except ConnectorError as fault:
                self._note_fault(str(fault))

    # Internals

    async def _watch(self) -> None:
        """Reload the configuration whenever its file, or a file that it names, has changed."""
        taken: object = None
        while True:
            found = self._stamps()
            if found != taken:
                await asyncio.sleep(SETTLED_SECONDS)
                if self._stamps() != found:
                    continue
                await self.reload()
                taken = found
            await asyncio.sleep(LOOK_SECONDS)

    def _stamps(self) -> object:
        config = self.config
        named = (config.pbx.password_file, config.uci.callback_certificate, config.uci.callback_key)
        return [_stamp(path) for path in (self.file.path, *named) if path is not None]

    def _note_fault(self, fault: str) -> None:
        if fault != self._fault:
            logger.error("the changed configuration is not used, the one before is kept: %s", fault)
            self._fault_since = datetime.now(UTC)
        self._fault = fault

    async def _take(self, config: Config) -> None:
        """Let a checked configuration take effect. Raises `ConnectorError` if a part refuses it; nothing has changed then."""
        contents = _contents(config)
        before = self.config
        changed = {name for name in Config.model_fields if getattr(config, name) != getattr(before, name)}
        changed |= {name for name, content in contents.items() if content != self._contents[name]}
        if changed & {"pbx", "state_directory"}:
            await self._replace_side(config)
        else:
            await self._adapt_side(config, changed)
        self.config, self._contents = config, contents
        if changed:
            logger.info("the configuration was read again", extra={"changed": ", ".join(sorted(changed))})
            for warning in config.in_clear():
                logger.warning("%s", warning)
        if "status" in changed:
            await self._close_page()
            await self._open_page()
        self._read_at, self._fault, self._fault_since = datetime.now(UTC), None, None
        self._remover = SecretRemover(self._secrets())
        self.changed.set()

    async def _replace_side(self, config: Config) -> None:
        """Restart everything that depends on the PBX or on the state directory: all parts but the status page."""
        state = self.state
        if config.state_directory != state.directory:
            state = ConnectorState(config.state_directory)
            state.pbx_key()
        side = PbxSide(config, state)
        await self._supervisor.stop_parts(STOP_SECONDS, LINK, *PARTS)
        await self.side.close()
        self.side, self.state = side, state
        self._start_side()
        self._start_link(config)

    async def _adapt_side(self, config: Config, changed: set[str]) -> None:
        side = self.side
        if "telephone" in changed:
            side.lines.use(config.telephone)
        if "active" in changed:
            side.monitor.set_active(active=config.active)
            side.directory.active = config.active
            await self._supervisor.stop_parts(STOP_SECONDS, "directory")
            self._supervisor.start("directory", side.directory.run)
        if "uci" in changed or uci_section(config) != uci_section(self.config):
            await self._switch_uci(config)
        if changed & _OF_LINK:
            await self._supervisor.stop_parts(STOP_SECONDS, LINK)
            self._start_link(config)

    async def _switch_uci(self, config: Config) -> None:
        side = self.side
        side.callbacks.admit_no_login()
        await side.logins.leave()
        await self._supervisor.stop_parts(STOP_SECONDS, "uci")
        side.uci.use(uci_section(config))
        self._supervisor.start("uci", side.uci.run)

    async def _settled_uci(self) -> UciState:
        uci = self.side.uci
        with suppress(TimeoutError):
            async with asyncio.timeout(UCI_SECONDS):
                while uci.state is UciState.CONNECTING:
                    uci.changed.clear()
                    await uci.changed.wait()
        return uci.state

    def _start_side(self) -> None:
        for name, run in self.side.parts().items():
            self._supervisor.start(name, run)

    def _start_link(self, config: Config) -> None:
        self.link.use(self._link_parts(config))
        self._supervisor.start(LINK, self.link.run)

    def _link_parts(self, config: Config) -> LinkParts:
        return LinkParts(
            config=config,
            state=self.state,
            monitor=self.side.monitor,
            directory=self.side.directory,
            calls=self.side.calls,
            lines=self.side.lines,
            handlers=self._handlers(),
        )

    def _handlers(self) -> Mapping[str, Handler]:
        return {**self.side.handlers(), **RepairMethods(self, self.side.methods).handlers()}

    def _secrets(self) -> list[str]:
        return [*self.config.secrets(), *self.state.secrets()]

    async def _open_page(self) -> None:
        if self.config.status.port:
            page = StatusPage(self.config.status.port, self.status)
            self._page = page if await page.start() else None

    async def _close_page(self) -> None:
        if self._page is not None:
            await self._page.stop()
            self._page = None


async def _first_check(side: PbxSide, stopped: asyncio.Event) -> None:
    """Let the first hello say how the PBX is. A PBX that is slow or gone is reported over the link later."""
    check, stop = asyncio.create_task(side.monitor.check()), asyncio.create_task(stopped.wait())
    await asyncio.wait({check, stop}, timeout=FIRST_CHECK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for task in (check, stop):
        task.cancel()
    await asyncio.wait({check, stop})
    if not check.cancelled():
        check.result()


def _check_usable(config: Config) -> None:
    """Raise `ConnectorError` if a file that the configuration names cannot be used."""
    config.check_files()
    context_for(Target.service(config.service))


def _contents(config: Config) -> dict[str, bytes]:
    """Return what identifies the contents of the files that a section names. Raises `ConnectorError`."""
    return {
        "pbx": _digest(config.pbx.password_file),
        "uci": _digest(config.uci.callback_certificate, config.uci.callback_key),
    }


def _digest(*paths: Path | None) -> bytes:
    content = hashlib.sha256()
    for path in paths:
        if path is not None:
            with suppress(OSError):
                content.update(path.read_bytes())
    return content.digest()


def _stamp(path: Path) -> object:
    """Return what changes whenever the file changes."""
    try:
        found = path.stat()
    except OSError as fault:
        return fault.errno
    return (found.st_mtime_ns, found.st_size, found.st_ino)
