"""`pbx-connector support-file`: writes the file for support, as the module page offers it, without a browser."""

import argparse
import asyncio
import hashlib
import json
import logging
from pathlib import Path
from typing import Final

from connector.config import Config, load
from connector.doctor.doctor import examine
from connector.errors import ConnectorError
from connector.files import write_private
from connector.log_file import last_day
from connector.secrets_removed import SecretRemover
from connector.state import ConnectorState
from connector.status import ConnectorStatus, ask
from connector.support_file import make_support_file

NO_STATE: Final = "No connector runs here, so it holds no state of a running one."
NO_CONFIGURATION: Final = (
    "The configuration cannot be used, so it holds neither the configuration, nor state, nor log."
)


def write(options: argparse.Namespace) -> int:
    logging.disable(logging.WARNING)
    out: Path = options.output
    content, note = asyncio.run(_make(options.config))
    try:
        write_private(out, content)
    except OSError as fault:
        raise ConnectorError(f"cannot write {out}: {fault.strerror}") from fault
    if options.json:
        digest = hashlib.sha256(content).hexdigest()
        facts = {"file": str(out), "size": len(content), "sha256": digest, "running": not note}
        print(json.dumps(facts, indent=2))
        return 0
    print(f"Wrote {out}, readable by you alone, without passwords, keys and codes.")
    if note:
        print(note)
    return 0


async def _make(path: Path) -> tuple[bytes, str]:
    """Return the file, and what is missing in it. A configuration that cannot be used is no obstacle: the doctor's report
    says what is wrong with it.
    """
    report = await examine(path)
    try:
        config = load(path)
        state = ConnectorState(config.state_directory)
        remover = SecretRemover([*config.secrets(), *state.secrets()])
        log = last_day(state.directory, remover)
    except ConnectorError:
        return make_support_file(None, report, None, "", SecretRemover(())), NO_CONFIGURATION
    status = await _status(config)
    return make_support_file(config, report, status, log, remover), "" if status is not None else NO_STATE


async def _status(config: Config) -> ConnectorStatus | None:
    try:
        return await ask(config.status.port)
    except ConnectorError:
        return None
