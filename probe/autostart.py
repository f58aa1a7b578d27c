"""Starts the probe with the user's session: by a .desktop file, a value of the registry key Run, or a launch agent."""

import plistlib
import shlex
import sys
from pathlib import Path
from typing import Final

from probe.errors import ProbeError

LABEL: Final = "pbx-audio-probe"
_RUN: Final = r"Software\Microsoft\Windows\CurrentVersion\Run"
MAC_LABEL: Final = "com.pbx-teams.audio-probe"


def command() -> list[str]:
    """Return the command line that starts the probe."""
    return [sys.executable, "-m", "probe.cli", "run"]


def desktop_entry(arguments: list[str]) -> str:
    """Return the .desktop file. Source: https://specifications.freedesktop.org/autostart-spec/latest/"""
    return "\n".join(
        (
            "[Desktop Entry]",
            "Type=Application",
            "Name=PBX audio probe",
            "Name[de]=PBX-Audio-Probe",
            "Comment=Detects when Teams and the softphone share an audio device",
            "Comment[de]=Erkennt, wenn Teams und das Softphone dasselbe Audiogerät verwenden",
            f"Exec={shlex.join(arguments)}",
            "NoDisplay=true",
            "X-GNOME-Autostart-enabled=true",
            "",
        )
    )


def launch_agent(arguments: list[str]) -> bytes:
    """Return the launch agent. Source: launchd.plist(5)"""
    return plistlib.dumps(
        {"Label": MAC_LABEL, "ProgramArguments": arguments, "RunAtLoad": True, "ProcessType": "Background"}
    )


def run_value(arguments: list[str]) -> str:
    """Return the registry value, which starts the probe without a console window.

    Source: learn.microsoft.com, "Run and RunOnce Registry Keys".
    """
    first, *rest = arguments
    return " ".join(f'"{argument}"' for argument in (first.replace("python.exe", "pythonw.exe"), *rest))


def switch_on(home: Path | None = None) -> str:
    """Set up the autostart and return its place. Raises `ProbeError` if it cannot be written."""
    home = home or Path.home()
    try:
        if sys.platform == "win32":
            return _windows(run_value(command()))
        if sys.platform == "darwin":
            return _write(home / "Library/LaunchAgents" / f"{MAC_LABEL}.plist", launch_agent(command()))
        return _write(home / ".config/autostart" / f"{LABEL}.desktop", desktop_entry(command()).encode())
    except OSError as fault:
        raise ProbeError(f"the start with the session cannot be set up: {fault}") from fault


def is_on(home: Path | None = None) -> bool:
    """Return whether the probe starts at login."""
    home = home or Path.home()
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - only there

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN) as key:
                winreg.QueryValueEx(key, LABEL)
        except FileNotFoundError:
            return False
        return True
    return any(path.exists() for path in _files(home))


def _files(home: Path) -> tuple[Path, Path]:
    return (
        home / "Library/LaunchAgents" / f"{MAC_LABEL}.plist",
        home / ".config/autostart" / f"{LABEL}.desktop",
    )


def switch_off(home: Path | None = None) -> None:
    """Remove the autostart, if there is one."""
    home = home or Path.home()
    if sys.platform == "win32":
        _windows(None)
    for path in _files(home):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


def _windows(value: str | None) -> str:
    if sys.platform != "win32":
        raise OSError("not Windows")
    import winreg  # noqa: PLC0415 - only there

    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN, 0, winreg.KEY_SET_VALUE) as key:
        if value is not None:
            winreg.SetValueEx(key, LABEL, 0, winreg.REG_SZ, value)
        else:
            try:
                winreg.DeleteValue(key, LABEL)
            except FileNotFoundError:
                return ""
    return rf"HKEY_CURRENT_USER\{_RUN}"
