"""The commands for people, each as a process: without a command, `status` and `uninstall`, in both languages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def start(home: Path, *arguments: str, language: str = "en_US.UTF-8", answers: str = "") -> tuple[int, str]:
    environment = {
        **os.environ,
        "HOME": str(home),
        "LC_ALL": language,
        "PYTHONUTF8": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    done = subprocess.run(
        [sys.executable, "-m", "probe.cli", "--config", str(home / "config"), *arguments],
        env=environment,
        input=answers,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def paired(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    content = {"service": "https://pbx.example.com", "token": "t" * 20}
    (tmp_path / "config" / "pairing.json").write_text(json.dumps(content))
    (tmp_path / "config" / "programs.toml").write_text("")
    entry = tmp_path / ".config" / "autostart" / "pbx-audio-probe.desktop"
    entry.parent.mkdir(parents=True)
    entry.write_text("[Desktop Entry]\n")
    return tmp_path


def test_a_double_click_says_what_to_do_and_asks(tmp_path: Path) -> None:
    code, said = start(tmp_path, answers="\n")
    assert code == 1
    assert '"Pair a computer"' in said
    assert "nothing was entered" in said
    code, said = start(tmp_path, language="de_DE.UTF-8", answers="\n")
    assert code == 1
    assert "„Computer koppeln“" in said


def test_without_a_terminal_it_names_the_command(tmp_path: Path) -> None:
    code, said = start(tmp_path)
    assert code == 1
    assert "pbx-audio-probe pair" in said


def test_the_pasted_command_is_understood(tmp_path: Path) -> None:
    code, said = start(tmp_path, answers="pbx-audio-probe pair http://pbx.example.com ABCD-EFGH\n")
    assert code == 1
    assert "would cross the network unencrypted" in said


def test_the_status_and_the_end_of_it(paired: Path) -> None:
    code, said = start(paired, "status")
    assert (code, said.splitlines()) == (
        0,
        [
            "This computer is paired with https://pbx.example.com.",
            "The audio helper starts when you log in.",
        ],
    )
    code, said = start(paired, "uninstall", language="de_DE.UTF-8")
    assert code == 0
    assert "Entfernen Sie ihn auch in der App" in said
    assert not (paired / "config").exists()
    assert not list((paired / ".config" / "autostart").iterdir())
    assert start(paired, "status", language="de_DE.UTF-8") == (1, "Dieser Computer ist nicht gekoppelt.\n")
