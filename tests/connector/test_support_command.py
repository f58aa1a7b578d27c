"""`pbx-connector support-file`: the page's file without a browser, without a single secret of the configuration."""

import asyncio
import hashlib
import json
import os
import stat
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr

from connector.config import Config
from connector.secrets_removed import REMOVED
from connector.state import ConnectorState
from tests.support.starface import running_starface
from tests.support.tiny_hub import ConnectorProcess, tiny_hub
from tests.support.world import free_ports
from wire.pbxkey import grouped

SECRETS = {
    "service.enrolment_code": "ENROL-ME-1234",
    "service.proxy": "http://user:pr%40xy-p%C3%A4ss@127.0.0.1:9",
    "pbx.password": 'pass"word\\with everything ü',
    "pbx.oauth_client_secret": "client-secret-4711",
    "pbx.proxy": "http://other:pbx%2Dproxy-pass@127.0.0.1:9",
    "licences.keys": "eyJhbGciOiJFZERTQSJ9.eyJzZWF0cyI6NX0.c2lnbmF0dXJl",
}
FORMS = {
    "service.proxy": ("pr%40xy-p%C3%A4ss", "pr@xy-päss"),
    "pbx.proxy": ("pbx%2Dproxy-pass", "pbx-proxy-pass"),
}
"""How a secret may appear in a message: as it is written, and as a program uses it."""


def secret_settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        section = next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if section is not None:
            yield from secret_settings(section, f"{prefix}{name}.")
        elif "SecretStr" in str(field.annotation) or SecretStr in kinds:
            yield f"{prefix}{name}"


def hidden() -> list[str]:
    forms = [one for name, value in SECRETS.items() for one in FORMS.get(name, (value,))]
    password = SECRETS["pbx.password"]
    return [
        *forms,
        *(json.dumps(password, ensure_ascii=one)[1:-1] for one in (True, False)),
        repr(password)[1:-1],
    ]


def write_configuration(directory: Path, pbx_port: int, **lines: str) -> Path:
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in SECRETS.items()}
    path = directory / "connector.toml"
    path.write_text(
        f'state_directory = "{directory / "state"}"\n'
        f'[service]\nurl = "http://127.0.0.1:9"\n'
        f"enrolment_code = {values['service.enrolment_code']}\nproxy = {values['service.proxy']}\n"
        f'[pbx]\nname = "pbx.example.com"\nurl = "http://127.0.0.1:{pbx_port}"\nlogin = "0001"\nauth = "oauth"\n'
        f"password = {values['pbx.password']}\noauth_client_secret = {values['pbx.oauth_client_secret']}\n"
        f"proxy = {values['pbx.proxy']}\n{lines.get('pbx', '')}"
        f"[licences]\nkeys = [{values['licences.keys']}]\n[status]\nport = 0\n[page]\nport = 0\n"
    )
    path.chmod(0o600)
    return path


async def run(configuration: Path, *options: str, umask: int = 0o022) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "connector.cli", "--config", str(configuration), "support-file", *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=configuration.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        umask=umask,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def texts_of(file: Path) -> dict[str, str]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_every_secret_of_the_configuration_is_in_these_tests() -> None:
    assert {*secret_settings(Config), "service.enrolment_code", "licences.keys"} == set(SECRETS)


async def test_the_file_holds_no_secret_even_if_the_log_does(tmp_path: Path) -> None:
    async with running_starface() as port:
        configuration = write_configuration(tmp_path, port)
        state = ConnectorState(tmp_path / "state")
        keys = [grouped(state.pbx_key()), state.pbx_key(), grouped(state.pbx_key()).lower()]
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        secret = [*hidden(), *keys]
        (tmp_path / "state" / "log").write_text("".join(f"{at} ERROR said: {one}!\n" for one in secret))
        code, printed = await run(configuration, "--output", "here.zip", umask=0)
    assert code == 0, printed
    file = tmp_path / "here.zip"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    texts = texts_of(file)
    assert set(texts) == {
        *("README.txt", "doctor.json", "status.json", "versions.json", "configuration.toml", "log.txt")
    }
    for name, text in {**texts, "printed": printed}.items():
        assert [one for one in secret if one in text] == [], name
    assert texts["log.txt"].count("ERROR said: ") == len(secret) and REMOVED in texts["log.txt"]
    assert texts["status.json"] == "null" and "No connector runs here" in printed
    assert json.loads(texts["doctor.json"])["pbxName"] == "pbx.example.com"


async def test_of_a_running_connector_it_holds_the_state(tmp_path: Path) -> None:
    async with running_starface() as port, tiny_hub() as hub:
        connector = ConnectorProcess(tmp_path, hub, port)
        status = free_ports(1)
        text = connector.configuration.read_text().replace("[status]\nport = 0", f"[status]\nport = {status}")
        connector.configuration.write_text(f"{text}[page]\nport = 0\n")
        await connector.start()
        try:
            await hub.linked()
            code, printed = await run(connector.configuration, "--json")
        finally:
            await connector.kill()
    assert code == 0, printed
    facts: dict[str, Any] = json.loads(printed)
    file = tmp_path / facts["file"]
    content = file.read_bytes()
    assert (facts["size"], facts["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert facts["running"] is True and facts["file"] == "pbx-connector-support.zip"
    texts = texts_of(file)
    assert json.loads(texts["status.json"])["linked"] is True and "link open" in texts["log.txt"]


@pytest.mark.parametrize("broken", ["colour = 1\n", "= =\n"])
async def test_a_configuration_that_cannot_be_used_is_no_obstacle(tmp_path: Path, broken: str) -> None:
    configuration = write_configuration(tmp_path, 9, pbx=broken)
    code, printed = await run(configuration)
    assert code == 0 and "configuration cannot be used" in printed, printed
    texts = texts_of(tmp_path / "pbx-connector-support.zip")
    (failed,) = [one for one in json.loads(texts["doctor.json"])["steps"] if one["outcome"] == "failed"]
    assert failed["code"] == "configuration-invalid"
    for name, text in {**texts, "printed": printed}.items():
        assert [one for one in hidden() if one in text] == [], name


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    code, printed = await run(write_configuration(tmp_path, 9), "--output", "missing/file.zip")
    assert code == 1 and "missing/file.zip: No such file" in printed and "Traceback" not in printed
