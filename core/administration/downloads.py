"""The packages that people download: connector and audio helper, from a folder that `make packages` filled.

A person asks for a link, which is good for an hour and for one file. So the machine beside the PBX can fetch the package
with a command that is copied, although nobody is signed in there.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from core.administration.guard import AdministratorGuard
from core.diagnosis.codes import Code
from core.diagnosis.finding import Finding, RefusedError
from core.identity.teams_user import TeamsUser
from core.licensing.overview import Overview
from core.signin.refusals import AdministratorAct
from core.store.audit import AuditKind
from core.store.timestamps import now
from wire.packages import INDEX, MAX_INDEX_BYTES, BuiltPackage, PackageIndex, PackageKind

logger = logging.getLogger(__name__)

LINK_LIFE: Final = timedelta(hours=1)
_FOR_EVERYBODY: Final = frozenset({PackageKind.AUDIO_HELPER_WINDOWS})
"""Kinds that every signed-in user may download; all others are for administrators."""
_KINDS: Final = frozenset(PackageKind)
_PURPOSE: Final = b"pbx-teams download\0"
_MAC_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class DownloadLink:
    ticket: str
    """The part of the path that permits the download."""
    file: str
    until: datetime


class Downloads:
    """The packages of one folder. Every replica has the same folder and pepper, so each accepts the links of all.

    Methods raise `RefusedError` when the request is refused.
    """

    def __init__(
        self,
        folder: Path | None,
        pepper: bytes,
        guard: AdministratorGuard,
        overview: Overview,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._clock = clock
        self._folder = folder
        self._key = hmac.digest(pepper, _PURPOSE, "sha256")
        self._guard = guard
        self._overview = overview
        self._verified: dict[tuple[str, int, int], str] = {}
        """Digests of files that were read, by name, size and time of change."""

    @property
    def is_configured(self) -> bool:
        return self._folder is not None

    async def offer(self, user: TeamsUser) -> tuple[BuiltPackage, ...]:
        """Return the packages for an administrator."""
        await self._guard.may_read(user, AdministratorAct.VIEW_CONNECTION)
        return await self._packages()

    async def offer_helper(self, user: TeamsUser) -> tuple[BuiltPackage, ...]:
        """Return the packages for every signed-in user."""
        await self._check_signed_in(user)
        return tuple(one for one in await self._packages() if one.kind in _FOR_EVERYBODY)

    async def make_link(self, user: TeamsUser, file: str) -> DownloadLink:
        """Return a link to a package. One that only administrators may have is audited."""
        package = await self._package(file)
        if package is not None and package.kind in _FOR_EVERYBODY:
            await self._check_signed_in(user)
        else:
            session = await self._guard.may_act(user, AdministratorAct.DOWNLOAD, remembered=True)
            if package is None:
                raise RefusedError(Finding(Code.PACKAGE_GONE))
            await self._guard.note(session, AuditKind.PACKAGE_OFFERED, {"file": package.file})
        return self._link(package)

    async def sign(self, file: str) -> DownloadLink | None:
        """Return a link to a file for anyone who may have it, or None if there is no such package."""
        package = await self._package(file)
        return self._link(package) if package is not None else None

    async def find(self, ticket: str, file: str) -> Path:
        """Return the file that a link permits to download. `not-found` reveals nothing else about wrong links."""
        package = await self._package(file)
        expiry, _, mac = ticket.partition("-")
        if package is None or self._folder is None or not 1 <= len(expiry) <= 10:
            raise RefusedError(Finding(Code.NOT_FOUND))
        try:
            expires = int(expiry, 16)
        except ValueError:
            raise RefusedError(Finding(Code.NOT_FOUND)) from None
        if expiry != f"{expires:x}":  # a link has one spelling
            raise RefusedError(Finding(Code.NOT_FOUND))
        if not hmac.compare_digest(self._mac(package, expires).encode(), mac.encode("utf-8", "replace")):
            raise RefusedError(Finding(Code.NOT_FOUND))
        if expires < self._clock().timestamp():
            raise RefusedError(Finding(Code.PACKAGE_GONE))
        return self._folder / package.file

    async def _check_signed_in(self, user: TeamsUser) -> None:
        if await self._overview.session_of(user) is None:
            raise RefusedError(Finding(Code.NOT_SIGNED_IN))

    def _link(self, package: BuiltPackage) -> DownloadLink:
        until = (self._clock() + LINK_LIFE).replace(microsecond=0)
        expires = int(until.timestamp())
        return DownloadLink(f"{expires:x}-{self._mac(package, expires)}", package.file, until)

    async def _package(self, file: str) -> BuiltPackage | None:
        return next((one for one in await self._packages() if one.file == file), None)

    def _mac(self, package: BuiltPackage, expires: int) -> str:
        signed = f"{package.file}\0{package.sha256}\0{expires:x}".encode()
        return hmac.digest(self._key, signed, "sha256")[:_MAC_BYTES].hex()

    async def _packages(self) -> tuple[BuiltPackage, ...]:
        return () if self._folder is None else await asyncio.to_thread(self._read, self._folder)

    def _read(self, folder: Path) -> tuple[BuiltPackage, ...]:
        """Read the index, and keep the packages of known kinds that are whole."""
        try:
            with (folder / INDEX).open("rb") as file:
                index = PackageIndex.model_validate_json(file.read(MAX_INDEX_BYTES))
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as fault:
            logger.warning("the index of packages cannot be read", extra={"fault": fault})
            return ()
        return tuple(one for one in index.packages if one.kind in _KINDS and self._is_whole(folder, one))

    def _is_whole(self, folder: Path, package: BuiltPackage) -> bool:
        path = folder / package.file
        if path.is_symlink():
            logger.warning("a package is a link to elsewhere", extra={"file": package.file})
            return False
        try:
            found = path.stat()
            known = (package.file, found.st_size, found.st_mtime_ns)
            if known not in self._verified:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._verified = {
                    key: value for key, value in self._verified.items() if key[0] != package.file
                } | {known: digest}
        except OSError as fault:
            logger.warning("a package cannot be read", extra={"file": package.file, "fault": fault})
            return False
        if (found.st_size, self._verified[known]) != (package.size, package.sha256):
            logger.warning("a package differs from its checksum", extra={"file": package.file})
            return False
        return True
