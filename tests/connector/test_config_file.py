"""A program changes the connector's TOML file: comments and order stay, and no crash and no mistake spoils it."""

import os
import stat
from pathlib import Path

import pytest

from connector.config import load
from connector.config_file import ConfigFile
from connector.errors import ConnectorError
from tests.support.killed import killed_at_every_line

FILE = """\
# Written by hand, by Clara.
active = true            # off while the PBX is moved
state_directory = "state"

[service]
url = "https://pbx-teams.example.com"

[pbx]                    # the one in the cellar
name = "pbx.example.com"
url = "https://192.0.2.10"
# login = "0002"         the old one
login = "0001"
password = "foobar"

[licences]
keys = [
  "first",               # bought in May
  "second",              # bought in June
]
"""


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    path = tmp_path / "connector.toml"
    path.write_text(FILE)
    path.chmod(0o600)
    return ConfigFile(path)


def test_only_what_was_changed_is_different(file: ConfigFile) -> None:
    config = file.change({"active": False, "pbx.login": "0002", "licences.keys": ["second", "third"]})
    assert not config.active and config.pbx.login == "0002" and config.licences.keys == ("second", "third")
    expected = (
        FILE.replace("active = true ", "active = false ")
        .replace('\nlogin = "0001"', '\nlogin = "0002"')
        .replace('  "first",               # bought in May\n', "")
        .replace(
            '"second",              # bought in June\n',
            '"second",              # bought in June\n  "third",\n',
        )
    )
    assert file.path.read_text() == expected
    assert load(file.path) == config


def test_a_section_that_is_missing_is_added_and_a_setting_taken_away(file: ConfigFile) -> None:
    file.change({"uci.enabled": False, "uci.callback_host": "192.0.2.20"})
    assert file.path.read_text() == FILE + '\n[uci]\nenabled = false\ncallback_host = "192.0.2.20"\n'
    file.change({"uci.enabled": None, "pbx.password": None, "pbx.password_file": "/etc/password"})
    text = file.path.read_text()
    assert (
        text.endswith('[uci]\ncallback_host = "192.0.2.20"\n')
        and "foobar" not in text
        and "in the cellar" in text
    )


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "connector.toml")
    file.change(
        {
            "service.url": "https://pbx-teams.example.com",
            "pbx.name": "pbx.example.com",
            "pbx.url": "https://192.0.2.10",
            "pbx.login": "0001",
            "pbx.password": 'a"b\\c äöü',
        }
    )
    assert file.load().pbx.read_password() == 'a"b\\c äöü'
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pbx.url": "ftp://192.0.2.10"}, "line 10: pbx.url"),
        ({"active": "yes, please"}, "line 2: active"),
        ({"pbx.login": None}, "line 8: pbx.login"),
        ({"uci.colour": "green"}, "uci.colour"),
        ({"pbx.password_file": "/etc/password"}, "either password or password_file"),
    ],
)
def test_a_change_that_makes_no_configuration_changes_nothing(
    file: ConfigFile, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ConnectorError, match=words) as refused:
        file.change(changes)
    assert "foobar" not in str(refused.value)
    assert file.path.read_text() == FILE
    assert [one.name for one in file.path.parent.iterdir()] == ["connector.toml"]


def test_a_broken_file_is_not_touched(file: ConfigFile) -> None:
    file.path.write_text(FILE + "[pbx\n")
    with pytest.raises(ConnectorError, match="is not TOML"):
        file.change({"active": False})
    assert file.path.read_text() == FILE + "[pbx\n"


def test_somebody_elses_change_at_the_same_time_is_not_lost(
    file: ConfigFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ConfigFile._read

    def read_while_an_editor_saves(one: ConfigFile) -> str:
        text = read(one)
        one.path.write_text(FILE.replace("0001", "0003"))
        return text

    monkeypatch.setattr(ConfigFile, "_read", read_while_an_editor_saves)
    with pytest.raises(ConnectorError, match="at the same time"):
        file.change({"active": False})
    assert file.path.read_text() == FILE.replace("0001", "0003")


def test_a_preview_writes_nothing(file: ConfigFile) -> None:
    assert not file.preview({"active": False}).active
    assert file.path.read_text() == FILE


def test_the_way_the_file_is_stored_stays(file: ConfigFile, tmp_path: Path) -> None:
    file.path.write_bytes(FILE.replace("\n", "\r\n").encode())
    file.path.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file.path)
    ConfigFile(link).change({"active": False})
    content = file.path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") and b"active = false" in content
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640 and link.is_symlink()
    file.path.chmod(0o644)
    file.change({"active": True})  # it holds a password
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="kills a process as Unix does")
def test_a_crash_at_any_moment_leaves_the_old_file_or_the_new_one(file: ConfigFile, tmp_path: Path) -> None:
    path = tmp_path / "after.toml"
    path.write_text(FILE)
    expected = ConfigFile(path)
    expected.change({"active": False, "licences.keys": ["third"]})
    seen = set()
    for ended in killed_at_every_line(
        lambda: file.change({"active": False, "licences.keys": ["third"]}),
        *("connector/config_file.py", "connector/files.py"),
    ):
        text = file.path.read_text()
        assert text in (FILE, path.read_text())
        assert not ended or text == path.read_text()
        seen.add(text)
        file.path.write_text(FILE)
    assert len(seen) == 2
