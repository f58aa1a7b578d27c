"""`pbx-audio-probe unpair`: deletes the token and the autostart."""

import argparse

from probe import autostart
from probe.settings import PairingStore


def run(options: argparse.Namespace) -> int:
    PairingStore(options.config).forget()
    autostart.switch_off()
    print("This computer reports nothing any more. Remove it on the tab's audio page as well.")
    return 0
