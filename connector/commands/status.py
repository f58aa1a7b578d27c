"""`pbx-connector status`: prints the status of the connector that runs on this machine."""

import argparse
import asyncio

from connector.config import load
from connector.status import ask, lines
from wire.lines import one_line


def show(options: argparse.Namespace) -> int:
    status = asyncio.run(ask(load(options.config).status.port))
    if options.json:
        print(status.model_dump_json(by_alias=True, indent=2))
    else:
        print("\n".join(f"{name:<14} {one_line(value)}" for name, value in lines(status)))
    return 0 if status.linked else 1
