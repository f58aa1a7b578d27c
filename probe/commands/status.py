"""`pbx-audio-probe status`: says whether this computer is paired, with which service, and whether it starts at login."""

import argparse

from probe import autostart
from probe.sentences import say
from probe.settings import PairingStore


def run(options: argparse.Namespace) -> int:
    """Return 0 if this computer is paired, otherwise 1."""
    store = PairingStore(options.config)
    if not store.is_paired:
        print(say("not-paired"))
        return 1
    print(say("paired", service=store.pairing().service))
    print(say("at-login" if autostart.is_on() else "not-at-login"))
    return 0
