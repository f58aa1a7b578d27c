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

    If root writes it, it belongs to the owner of the directory: the connector runs under a user of its own, and has to
    read what an administrator's command wrote.
    """

    def give_to_owner_of_directory(_temporary: Path, descriptor: int) -> None:
        if hasattr(os, "fchown") and os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)

    _replace(path, content, give_to_owner_of_directory)


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

    def copy_access(temporary: Path, descriptor: int) -> None:
        mode = stat.S_IMODE(before.st_mode)
        mode = mode & ~stat.S_IRWXO if private else mode
        if not hasattr(os, "fchown"):
            temporary.chmod(mode)
            return
        # By the descriptor: the owner of the directory could put a link to another file in place of the temporary one.
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            # Only root may give a file away; for everybody else the group is worth a try.
            with suppress(OSError):
                os.fchown(descriptor, -1, before.st_gid)
            with suppress(OSError):
                os.fchown(descriptor, before.st_uid, -1)
        os.fchmod(descriptor, mode)

    _replace(path, content, copy_access)


def _replace(path: Path, content: bytes, prepare: Callable[[Path, int], None]) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            prepare(temporary, descriptor)
            os.fsync(descriptor)
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
