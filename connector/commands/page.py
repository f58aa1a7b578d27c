"""`pbx-connector page`: a one-time link to the module page of the connector that runs on this machine."""

import argparse

from connector.config import load
from connector.errors import ConnectorError
from connector.site.security import leave_ticket
from connector.state import ConnectorState


def show(options: argparse.Namespace) -> int:
    config = load(options.config)
    if not config.page.port:
        raise ConnectorError("the module page is switched off: give [page] a port")
    ticket = leave_ticket(ConnectorState(config.state_directory))
    print("Open this link in a browser on this machine. It works once, within 15 minutes:\n")
    print(f"  http://127.0.0.1:{config.page.port}/start/{ticket}\n")
    return 0
