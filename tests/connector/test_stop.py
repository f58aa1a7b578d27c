"""The program ends when it is stopped, even if a peer hangs."""

import asyncio
import signal
import sys
from pathlib import Path

HANGING_NAMES = (
    "import socket, sys, time\n"
    "from connector.cli import main\n"
    "def hang(*_asked, **_how):\n"
    "    print('asked', file=sys.stderr, flush=True)\n"
    "    time.sleep(600)\n"
    "socket.getaddrinfo = hang\n"
    "sys.exit(main(sys.argv[1:]))\n"
)
"""A system whose name server is gone: asking for an address lasts, and cannot be cancelled."""


async def test_a_name_server_that_is_silent_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    configuration = tmp_path / "connector.toml"
    configuration.write_text(
        f'state_directory = "{tmp_path}/state"\n[service]\nurl = "https://service.invalid"\n'
        '[pbx]\nname = "pbx.example.com"\nurl = "https://pbx.invalid"\nlogin = "0001"\npassword = "foobar"\n'
        "[status]\nport = 0\n"
    )
    configuration.chmod(0o600)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HANGING_NAMES, "--config", str(configuration), "run"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            while b"asked" not in await process.stderr.readline():
                assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
