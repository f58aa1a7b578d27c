"""The log of the last day and the file for support: bounded, readable by their owner alone, without any secret."""

import io
import logging
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector.config import load
from connector.log_file import FILE, MAX_BYTES, OLDER, LogFile, last_day
from connector.running import Connector
from connector.secrets_removed import REMOVED, SecretRemover
from connector.state import ConnectorState
from tests.support.starface import running_starface
from wire.pbxkey import grouped

SECRETS = {
    "password": "foobar-of-the-pbx",
    "client": "client-secret-4711",
    "proxy": "proxy p@ss#1",
    "code": "ENROL-ME-1234",
    "licence": "eyJhbGciOiJFZERTQSJ9.eyJzZWF0cyI6NX0.c2lnbmF0dXJl",
}


def write_configuration(directory: Path, port: int) -> Path:
    path = directory / "connector.toml"
    path.write_text(
        f'state_directory = "{directory / "state"}"\n'
        f'# password = "{SECRETS["password"]}" was another one\n'
        f'[service]\nurl = "http://127.0.0.1:9"\nenrolment_code = "{SECRETS["code"]}"\n'
        f'proxy = "http://user:{SECRETS["proxy"]}@127.0.0.1:9"\n'
        f'[pbx]\nname = "pbx.example.com"\nurl = "http://127.0.0.1:{port}"\nlogin = "0001"\n'
        f'password = "{SECRETS["password"]}"\noauth_client_secret = "{SECRETS["client"]}"\n'
        f'[licences]\nkeys = ["{SECRETS["licence"]}"]\n[status]\nport = 0\n'
    )
    path.chmod(0o600)
    return path


async def test_no_secret_is_in_the_support_file(tmp_path: Path) -> None:
    async with running_starface() as port:
        path = write_configuration(tmp_path, port)
        connector = Connector(path, load(path))
        kept = LogFile(tmp_path / "state", connector.remover)
        logger = logging.getLogger("tests.support")
        logger.addHandler(kept)
        old_key = grouped(connector.state.pbx_key())
        connector.new_key(timedelta(hours=1))
        new_key = grouped(connector.state.pbx_key())
        uci_token = "1001:" + "ab" * 64
        hidden = [*SECRETS.values(), old_key, new_key, new_key.replace("-", ""), uci_token.partition(":")[2]]
        for one in hidden:
            logger.warning("a mistake of the program: %s", one, extra={"field": one})
        logger.warning("the end")
        logger.removeHandler(kept)
        content = await connector.support_file()
        await connector.side.close()
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert set(texts) == {
        *("README.txt", "doctor.json", "status.json", "versions.json", "configuration.toml", "log.txt")
    }
    state = {
        one.name: one.read_bytes() for one in (tmp_path / "state").iterdir() if one.name not in (FILE, OLDER)
    }
    everything = [*texts.values(), (tmp_path / "state" / FILE).read_text()]
    for text in everything:
        for one in hidden:
            assert one not in text
        for name in ("identity.pem", "sealing.pem"):
            assert state[name].decode().splitlines()[1] not in text
    assert 'url = "http://127.0.0.1' in texts["configuration.toml"] and REMOVED in texts["configuration.toml"]
    assert '"step": "pbx-login"' in texts["doctor.json"] and "the end" in texts["log.txt"]
    assert connector.status().pbx_name in texts["status.json"]


BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC/+BKcwggSjAgEAAoIBAQC7"


@pytest.mark.parametrize(
    "key",
    [
        f"-----BEGIN PRIVATE KEY-----\n{BODY}\n{BODY}==\n-----END PRIVATE KEY-----",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\r\n{BODY}\r\n-----END OPENSSH PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{BODY}\n\n{BODY}\n-----END",
        f"-----BEGIN PRIVATE KEY-----\n{BODY}",  # cut off
        f"-----BEGIN EC PRIVATE KEY-----\\n{BODY}\\n{BODY}\\n-----END EC PRIVATE KEY-----",  # in JSON
    ],
)
def test_no_private_key_remains_and_the_text_after_it_does(key: str) -> None:
    text = SecretRemover(()).remove(f"before {key} - after.\n2026-11-28T08:00:00.000Z INFO next line\n")
    assert BODY not in text and text.startswith("before ")
    if "-----END" in key:
        assert text.endswith("- after.\n2026-11-28T08:00:00.000Z INFO next line\n")


def test_a_message_about_a_private_key_takes_no_other_line_with_it() -> None:
    text = "no -----BEGIN PRIVATE KEY----- in the file.\n2026-11-28T08:00:00.000Z INFO next line\n"
    assert SecretRemover(()).remove(text).endswith("2026-11-28T08:00:00.000Z INFO next line\n")


def test_the_log_is_of_the_last_day_and_bounded(tmp_path: Path) -> None:
    ConnectorState(tmp_path)
    remover = SecretRemover(["geheim"])
    handler = LogFile(tmp_path, lambda: remover)

    def write(text: str, at: datetime) -> None:
        record = logging.LogRecord("connector", logging.INFO, __file__, 1, text, None, None)
        record.created = at.timestamp()
        handler.emit(record)

    now = datetime.now(UTC)
    write("of the day before yesterday", now - timedelta(days=2))
    write("of yesterday\nwith two lines, and geheim", now - timedelta(hours=23))
    write("of now", now)
    text = last_day(tmp_path, remover, now)
    assert "before yesterday" not in text and text.index("of yesterday\\nwith") < text.index("of now")
    assert "geheim" not in text
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0

    for number in range(1200):
        write(f"{number} {'x' * 3000}", now)
    sizes = [(tmp_path / name).stat().st_size for name in (FILE, OLDER)]
    assert max(sizes) <= MAX_BYTES and len(last_day(tmp_path, remover, now)) <= 2 * MAX_BYTES
    assert " 1199 xxx" in last_day(tmp_path, remover, now)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "missing", lambda: SecretRemover([]))
    handler.emit(logging.LogRecord("connector", logging.INFO, __file__, 1, "words", None, None))
    assert last_day(tmp_path / "missing", SecretRemover([])) == ""
