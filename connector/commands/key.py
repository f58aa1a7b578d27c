"""`pbx-connector key`: the PBX key that users sign in with."""

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Final

from connector.config import load
from connector.errors import ConnectorError
from connector.files import write_private
from connector.state import ConnectorState
from wire.pbxkey import grouped

MAX_KEEP_OLD_HOURS: Final = 24.0 * 90


def new(options: argparse.Namespace) -> int:
    config = load(options.config)
    if not 0 <= options.keep_old <= MAX_KEEP_OLD_HOURS:
        raise ConnectorError(f"--keep-old takes hours from 0 to {MAX_KEEP_OLD_HOURS:g}")
    state = ConnectorState(config.state_directory)
    key = state.renew_pbx_key(timedelta(hours=options.keep_old))
    print(f"PBX name  {config.pbx.name}\nPBX key   {grouped(key)}")
    previous = state.previous_pbx_key()
    if previous is None:
        print("The old key stops working within seconds, once the running connector has reloaded it.")
    else:
        print(f"The old key is good until {previous[1].astimezone():%Y-%m-%d %H:%M}; its users are notified.")
    return 0


def file(options: argparse.Namespace) -> int:
    config = load(options.config)
    out: Path = options.out or Path(f"{config.pbx.name}.pbxkey")
    content = (
        ConnectorState(config.state_directory)
        .key_file(config.pbx.name)
        .model_dump_json(by_alias=True, indent=2)
    )
    try:
        write_private(out, content.encode() + b"\n")
    except OSError as fault:
        raise ConnectorError(f"cannot write {out}: {fault.strerror}") from fault
    print(
        f"Wrote {out}, readable by you alone. Anyone who has it and a PBX user can sign in: hand it out with care."
    )
    return 0
