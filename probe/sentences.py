"""Sentences that several commands print."""

from typing import Final

IN_CLEAR: Final = (
    "{service} is http: which devices are used, and this computer's token, would cross the network unencrypted. Use the"
    " https address that the tab shows, or pair with --allow-http if the line is private"
)

WHAT_IS_SENT: Final = (
    "It sends the names and ids of the audio devices that Teams and the softphone use, whether they use them at this"
    " moment, and this computer's name. Nothing that is spoken or played, and nothing of other programs."
)
