"""`pbx-audio-probe uninstall`: deletes the autostart, the token and the settings; says what is left to do."""

import argparse

from probe import autostart
from probe.sentences import say
from probe.settings import PairingStore


def run(options: argparse.Namespace) -> int:
    store = PairingStore(options.config)
    autostart.switch_off()
    store.delete()
    print(say("uninstalled", folder=store.directory))
    return 0
