"""The set-up is killed at any moment, or its disk is full: no file is half written, and nobody else reads a secret."""

import os
import resource
import shutil
import stat
from pathlib import Path

import pytest

from connector.config import load
from connector.errors import ConnectorError
from connector.setup.draft import Draft
from tests.support.killed import killed_at_every_line

SECRETS = {"service.enrolment_code": "ENROL-ME-1234", "pbx.password": "foobar-of-the-pbx"}
VALUES = {
    "service.url": "https://service.example.com",
    "pbx.url": "https://pbx.example.com",
    "pbx.login": "0001",
    "pbx.name": "pbx.example.com",
}


def set_up(directory: Path) -> None:
    """Enter everything, and save, as the command does; under the umask that protects least."""
    os.umask(0)
    draft = Draft(directory / "etc" / "connector.toml", directory / "state")
    draft.enter({**VALUES, **SECRETS})
    draft.save()


def check(directory: Path) -> bool:
    """Check all files; return whether the configuration was written."""
    file = directory / "etc" / "connector.toml"
    for path in (*directory.rglob("*"),):
        if path != file.parent:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in (directory / "state").glob("setup.json"):
        assert not [one for one in SECRETS.values() if one in path.read_text()]
    if not file.exists():
        return False
    config = load(file)
    assert config.pbx.read_password() == SECRETS["pbx.password"]
    assert config.service.enrolment_code == SECRETS["service.enrolment_code"]
    return True


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir(mode=0o755)
    return tmp_path


def empty(directory: Path) -> None:
    for path in (*(directory / "etc").iterdir(), *directory.glob("state")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_killed_at_any_moment_it_leaves_all_or_nothing(directory: Path) -> None:
    seen = set()
    for ended in killed_at_every_line(
        lambda: set_up(directory), "connector/files.py", "connector/setup/draft.py"
    ):
        written = check(directory)
        assert written or not ended
        seen.add(written)
        if not ended:  # what is left hinders nobody from starting again
            Draft(directory / "etc" / "connector.toml", directory / "state")
            empty(directory)
    assert seen == {True, False}


@pytest.mark.parametrize("room", [0, 50, 130, 200, 240])
def test_on_a_full_disk_it_reports_it_and_leaves_all_or_nothing(directory: Path, room: int) -> None:
    """`room`: the bytes that a file may have, which the kernel enforces as it does the end of a disk."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
            set_up(directory)
            code = 3
        except ConnectorError:
            code = 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert not check(directory)
    left = [path for path in directory.rglob("*") if path.is_file()]
    assert [path for path in left if path.suffix not in (".pem", ".json") and path.name != "pbx-key"] == []
