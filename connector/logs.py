"""The connector's log: one line for each event, for people at a terminal or in the journal."""

import logging
import sys

from wire.lines import LineFormatter


def set_up() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
