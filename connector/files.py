"""Files that only the connector's user can read."""

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file atomically, even if the power fails, and readable by its owner only, even if it replaces a file with
    wider permissions. Raises `OSError`.
    """
    _replace(path, content, lambda _temporary: None)


def write_like(path: Path, content: bytes, *, private: bool) -> None:
    """Write a file atomically, even if the power fails, with the owner and the permissions of the file that it replaces.

    A new file is readable by its owner only. `private`: nobody but owner and group may read it. Raises `OSError`.
    """
    path = path.resolve()  # a link remains a link
    try:
        before = path.stat()
    except FileNotFoundError:
        write_private(path, content)
        return

    def copy_access(temporary: Path) -> None:
        if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            # Only root may give a file away; for everybody else the group is worth a try.
            with suppress(OSError):
                os.chown(temporary, -1, before.st_gid)
            with suppress(OSError):
                os.chown(temporary, before.st_uid, -1)
        mode = stat.S_IMODE(before.st_mode)
        temporary.chmod(mode & ~stat.S_IRWXO if private else mode)

    _replace(path, content, copy_access)


def _replace(path: Path, content: bytes, prepare: Callable[[Path], None]) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        prepare(temporary)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the new name itself survives a loss of power
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
