"""`pbx-connector setup`: asks for the configuration, in a browser or in the terminal."""

import argparse
import asyncio
import logging
import os
import signal
import sys
import webbrowser
from pathlib import Path
from typing import Final

from connector.errors import ConnectorError
from connector.logs import set_up
from connector.setup.draft import Draft
from connector.setup.terminal import ask_in_terminal
from connector.site.certificate import site_certificate
from connector.site.security import Door, new_password
from connector.site.server import Site
from connector.site.setup_pages import SetupPages
from core.language import Language
from wire.hosts import is_loopback

UNITS: Final = tuple(
    Path(folder, "pbx-connector.service") for folder in ("/usr/lib/systemd/system", "/etc/systemd/system")
)
COMMAND: Final = "pbx-connector setup"


def run(options: argparse.Namespace) -> int:
    become_owner(options.config)
    draft = Draft(options.config, options.state_directory)
    if options.no_browser:
        logging.disable(logging.WARNING)
        named = options.language or os.environ.get("LANG", "en")[:2]
        return ask_in_terminal(draft, Language.of(named), sys.stdin, sys.stdout)
    set_up()
    try:
        asyncio.run(_serve(options, draft))
    except KeyboardInterrupt:
        print(
            f"The set-up has ended. {draft.file.path} {'exists' if draft.file.path.exists() else 'was not written'}."
        )
    return 0


def become_owner(config: Path) -> None:
    """Started by root, go on as the owner of the configuration's folder, who runs the service: files that root writes
    could not be read by it. The Debian package gives the folder to the service's user.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not config.parent.exists():
        return
    owner = config.parent.stat()
    if owner.st_uid == 0:
        return
    import pwd  # noqa: PLC0415 - only on Unix

    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
    except (KeyError, OSError) as fault:
        raise ConnectorError(f"cannot become the owner of {config.parent}: {fault}") from fault


async def _serve(options: argparse.Namespace, draft: Draft) -> None:
    is_network = not is_loopback(options.listen)
    door = Door(draft.state, is_network=is_network)
    site = Site(door, COMMAND)
    pages = SetupPages(site, draft, start_command(options.config))
    tls = site_certificate(draft.state) if is_network else None
    listening = await site.listen(options.listen, options.port, tls.context if tls else None)
    try:
        if tls is not None:
            print(
                f"Open  https://{tls.host}:{listening.port}/\n"
                f"Password  {new_password(draft.state)}\n"
                f"The browser warns of the certificate, which the connector has made itself. Compare its SHA-256"
                f" fingerprint:\n{tls.fingerprint}",
                flush=True,
            )
        else:
            host = f"[{options.listen}]" if ":" in options.listen else options.listen
            link = f"http://{host}:{listening.port}/start/{door.new_ticket()}"
            print(
                f"Open this link in a browser on this machine. It works once, within 15 minutes:\n\n  {link}\n",
                flush=True,
            )
            if _has_browser():
                await asyncio.to_thread(webbrowser.open, link)
        await _until_ended(pages.ended)
    finally:
        await pages.stop()
        await listening.stop()


async def _until_ended(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    if hasattr(signal, "SIGTERM") and sys.platform != "win32":
        loop.add_signal_handler(signal.SIGTERM, ended.set)
        loop.add_signal_handler(signal.SIGINT, ended.set)
    await ended.wait()


def _has_browser() -> bool:
    """Return whether a person sits at a desktop of this machine."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def start_command(config: Path) -> str:
    """Return the command that starts the connector on this machine."""
    if any(unit.exists() for unit in UNITS):
        return "sudo systemctl enable --now pbx-connector"
    return f"pbx-connector --config {config} run"
