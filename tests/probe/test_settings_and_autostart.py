"""What the probe keeps and where; how it starts with the session; what its commands say when something is wrong."""

import configparser
import plistlib
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from probe import autostart, cli
from probe.errors import ProbeError
from probe.programs import load_rules
from probe.settings import Pairing, PairingStore

PAIRING = Pairing("https://pbx.example.com", "secret-token")


class Memory(KeyringBackend):
    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def ring() -> Iterator[Memory]:
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


@pytest.fixture
def no_ring() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def test_the_token_is_kept_in_the_keyring_and_in_no_file(tmp_path: Path, ring: Memory) -> None:
    settings = PairingStore(tmp_path)
    assert settings.keep(PAIRING)
    assert settings.pairing() == PAIRING
    assert "secret-token" not in "".join(path.read_text() for path in tmp_path.iterdir())
    settings.forget()
    assert ring.kept == {}
    with pytest.raises(ProbeError, match="not paired yet"):
        settings.pairing()


def test_without_a_keyring_a_file_for_this_user_alone_holds_it(tmp_path: Path, no_ring: None) -> None:
    settings = PairingStore(tmp_path)
    assert not settings.keep(PAIRING)
    assert settings.pairing() == PAIRING
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    settings.forget()
    settings.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"service": 7'])
def test_a_damaged_file_says_what_to_do(tmp_path: Path, no_ring: None, content: str) -> None:
    (tmp_path / "pairing.json").write_text(content)
    with pytest.raises(ProbeError, match="pair"):
        PairingStore(tmp_path).pairing()


def test_a_desktop_entry_of_the_freedesktop_specification() -> None:
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # type: ignore[assignment,method-assign]
    entry.read_string(autostart.desktop_entry(["/opt/my probe/python", "-m", "probe.cli", "run"]))
    assert entry["Desktop Entry"]["Exec"] == "'/opt/my probe/python' -m probe.cli run"
    assert entry["Desktop Entry"]["Type"] == "Application"


def test_a_launch_agent_and_a_run_value() -> None:
    agent = plistlib.loads(autostart.launch_agent(["/usr/bin/python3", "-m", "probe.cli", "run"]))
    assert agent["RunAtLoad"] and agent["ProgramArguments"][-1] == "run"
    value = autostart.run_value([r"C:\Program Files\Python\python.exe", "-m", "probe.cli", "run"])
    assert value == r'"C:\Program Files\Python\pythonw.exe" "-m" "probe.cli" "run"'


def test_the_start_with_the_session_is_switched_on_and_off(tmp_path: Path) -> None:
    where = Path(autostart.switch_on(tmp_path))
    assert where.is_file() and where.is_relative_to(tmp_path)
    autostart.switch_off(tmp_path)
    autostart.switch_off(tmp_path)
    assert not where.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "not paired yet"),
        (["pair", "pbx.example.com", "ABCD-EFGH"], "starts with https://"),
        (["pair", "http://127.0.0.1:1", "ABCD-EFGH"], "cannot reach http://127.0.0.1:1"),
        (["pair", "http://127.0.0.1:1", "ABC"], "eight letters and digits"),
        (["pair", "http://127.0.0.1:1", "“AB–C\u200b”"], "eight letters and digits"),
        (["pair", "http://pbx.example.com", "ABCD-EFGH"], "would cross the network unencrypted"),
        (["pair", "http://192.0.2.1", "ABCD-EFGH"], "--allow-http"),
        (["pair", "https://user:secret@pbx.example.com", "ABCD-EFGH"], "neither user nor password"),
        (["once"], "neither PulseAudio nor PipeWire answers"),
    ],
)
def test_every_command_ends_with_a_clear_line(
    tmp_path: Path,
    no_ring: None,
    capsys: pytest.CaptureFixture,
    monkeypatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["--config", str(tmp_path), *arguments]) == 1
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed
    assert printed.startswith("pbx-audio-probe: ")


def test_unpairing_is_possible_at_any_time(tmp_path: Path, no_ring: None, monkeypatch, capsys) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cli.main(["--config", str(tmp_path), "unpair"]) == 0
    assert "reports nothing any more" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_pairing_over_a_line_that_can_be_read_is_not_used_unless_somebody_said_so(
    tmp_path: Path, ring: Memory, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = PairingStore(tmp_path)
    settings.keep(Pairing("http://pbx.example.com", "secret-token"))
    assert cli.main(["--config", str(tmp_path), "run"]) == 1
    assert "would cross the network unencrypted" in capsys.readouterr().err
    allowed = Pairing("http://pbx.example.com", "secret-token", allow_http=True)
    settings.keep(allowed)
    assert settings.pairing() == allowed


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_the_users_own_rules_may_come_from_any_editor(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "programs.toml"
    file.write_bytes("[[program]]\r\nkind = 'softphone'\r\nname = 'p'\r\n".encode(encoding))
    assert [rule.program for rule in load_rules(file)] == ["softphone"]
    file.write_bytes("# Gerät".encode("cp1252"))
    with pytest.raises(ProbeError, match="save it as UTF-8"):
        load_rules(file)
