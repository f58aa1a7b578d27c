"""`pbx-audio-probe pair`: gets a token for this computer from the service, for the person whose tab shows the code."""

import argparse
import asyncio
import platform as python_platform

from probe import __version__, autostart
from probe.errors import ProbeError
from probe.link import pair
from probe.readers import this_system
from probe.sentences import IN_CLEAR, WHAT_IS_SENT
from probe.settings import Pairing, PairingStore
from wire.hosts import checked_url, crosses_in_clear
from wire.pasted import letters_and_digits
from wire.probe import PairParams


def run(options: argparse.Namespace) -> int:
    platform, _reader = this_system()
    try:
        service = checked_url(options.service)
    except ValueError as fault:
        raise ProbeError(f"{options.service}: {fault}") from fault
    if crosses_in_clear(service) and not options.allow_http:
        raise ProbeError(IN_CLEAR.format(service=service))
    print(WHAT_IS_SENT)
    code = letters_and_digits(options.code or input("Code from the tab's audio page: "))
    if len(code) < 8:
        raise ProbeError("a code has eight letters and digits, for instance ABCD-EFGH")
    params = PairParams(
        code=code[:20],
        machine=(python_platform.node() or "computer")[:100],
        platform=platform,
        version=__version__,
    )
    paired = asyncio.run(pair(service, params))
    if not PairingStore(options.config).keep(Pairing(service, paired.token, options.allow_http)):
        print("There is no keyring here: the token is kept in a file that only you can read.")
    print(f"Paired{f' with {paired.person}' if paired.person else ''}.")
    if not options.no_autostart:
        print(f"Starts with the session: {autostart.switch_on()}")
    print("Start it now with: pbx-audio-probe run")
    return 0
