"""What a command does not need, it does not import: a small one starts at once."""

import argparse
import importlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

SERVER = {
    "sqlalchemy",
    "aiosqlite",
    "asyncpg",
    "alembic",
    "botbuilder",
    "botframework",
    "msal",
    "azure",
    "nats",
    "aiohttp",
}
HEAVY = SERVER | {"pydantic", "cryptography", "prometheus_client", "PIL", "keyring", "psutil"}

LOOK = """
import sys
from {program}.cli import main
try:
    main({arguments})
except SystemExit:
    pass
print("\\nimported:", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def imported(program: str, *arguments: str) -> set[str]:
    look = LOOK.format(program=program, arguments=list(arguments))
    run = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    return set(run.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize(
    ("program", "arguments", "not_needed"),
    [
        ("app", ["--help"], HEAVY),
        ("app", ["--version"], HEAVY),
        ("app", ["serve", "--help"], HEAVY),
        ("app", ["audio", "compare", "Headset (Jabra)", "Jabra"], HEAVY),
        ("app", ["licence", "inspect", "no-key", "--vendor-keys", "{}"], SERVER),
        ("app", ["licence", "vendor-key", "--signing-key", "/nowhere.pem"], SERVER),
        ("connector", ["--help"], HEAVY),
        ("connector", ["--version"], HEAVY),
        ("connector", ["setup", "--help"], HEAVY | {"jinja2"}),
        ("connector", ["--config", "/nowhere.toml", "key", "new"], SERVER),
        ("connector", ["--config", "/nowhere.toml", "doctor"], {"prometheus_client"}),
        ("probe", ["--help"], HEAVY),
        ("probe", ["--version"], HEAVY),
        ("probe", ["once"], SERVER | {"cryptography"}),
    ],
)
def test_a_command_imports_what_it_uses(program: str, arguments: list[str], not_needed: set[str]) -> None:
    assert not imported(program, *arguments) & not_needed


@pytest.mark.parametrize("program", ["app", "connector", "probe"])
def test_a_command_says_its_version(program: str) -> None:
    """Support asks for it first."""
    run = subprocess.run(
        [sys.executable, "-m", f"{program}.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == version("pbx-teams")


@pytest.mark.parametrize(("program", "count"), [("app", 18), ("connector", 8), ("probe", 7)])
def test_every_command_is_there(program: str, count: int) -> None:
    parser = importlib.import_module(f"{program}.cli")._parser()
    found = list(commands(parser))
    for run in found:
        module, function = run.args
        assert callable(getattr(importlib.import_module(module), function))
    assert len(found) == count


def commands(parser: argparse.ArgumentParser) -> Iterator[Any]:
    if (run := parser.get_default("run")) is not None:
        yield run
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from commands(one)
