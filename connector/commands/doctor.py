"""`pbx-connector doctor`: finds out step by step why there is no connection."""

import argparse
import asyncio
import logging
import os
import sys

from connector.doctor.doctor import examine
from connector.doctor.report import Printer
from core.language import Language


def run(options: argparse.Namespace) -> int:
    logging.disable(logging.WARNING)
    language = (
        Language(options.language) if options.language else Language.of(os.environ.get("LANG", "en")[:2])
    )
    printer = Printer(language, colours=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    on_step = (lambda _step: None) if options.json else printer.step
    report = asyncio.run(examine(options.config, on_step, max(0.0, options.wait_for_call)))
    if options.json:
        print(report.model_dump_json(by_alias=True, indent=2))
    else:
        printer.end(report)
    return 1 if report.has_failed else 0
