"""Files that only the connector's own user reads, no matter who runs the command that writes them."""

import os
from pathlib import Path

import pytest

from connector.files import write_private

SOMEBODY = 12345


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_file_is_readable_by_its_owner_alone(tmp_path: Path, before: int | None) -> None:
    file = tmp_path / "secret"
    if before is not None:
        file.write_bytes(b"old")
        file.chmod(before)
    write_private(file, b"new")
    assert file.read_bytes() == b"new" and file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for others")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    """An administrator runs `key new` or `doctor`, and the service has to read what they wrote."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, SOMEBODY, SOMEBODY)
    write_private(state / "pbx-key", b"key")
    assert ((state / "pbx-key").stat().st_uid, (state / "pbx-key").stat().st_gid) == (SOMEBODY, SOMEBODY)
    write_private(tmp_path / "users.pbxkey", b"key")
    assert (tmp_path / "users.pbxkey").stat().st_uid == 0
