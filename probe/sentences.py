"""Sentences that several commands print."""

import locale
import os
from typing import Final

IN_CLEAR: Final = (
    "{service} is http: which devices are used, and this computer's token, would cross the network unencrypted. Use the"
    " https address that the tab shows, or pair with --allow-http if the line is private"
)

WHAT_IS_SENT: Final = (
    "It sends the names and ids of the audio devices that Teams and the softphone use, whether they use them at this"
    " moment, and this computer's name. Nothing that is spoken or played, and nothing of other programs."
)

_WORDS: Final = {
    "welcome": (
        (
            "This audio helper tells PBX for Teams which audio devices Teams and the softphone use.\n"
            'In Teams, open the app\'s page "Audio devices" and choose "Pair a computer".'
        ),
        (
            "Dieser Audio-Helfer meldet PBX for Teams, welche Audiogeräte Teams und das Softphone verwenden.\n"
            "Öffnen Sie in Teams in der App die Seite „Audiogeräte“ und wählen Sie „Computer koppeln“."
        ),
    ),
    "ask-command": (
        "Paste the command that the page shows, and press Enter: ",
        "Fügen Sie den Befehl ein, den die Seite zeigt, und drücken Sie die Eingabetaste: ",
    ),
    "ask-login": (
        "Start the audio helper when you log in? [Y/n] ",
        "Den Audio-Helfer bei der Anmeldung starten? [J/n] ",
    ),
    "nothing-given": (
        "nothing was entered: start the audio helper again, and paste the command",
        "es wurde nichts eingegeben: Starten Sie den Audio-Helfer erneut, und fügen Sie den Befehl ein",
    ),
    "nobody-answers": (
        "there is no terminal to ask in: run 'pbx-audio-probe pair' with the address and the code",
        "es gibt kein Terminal für Fragen: Starten Sie „pbx-audio-probe pair“ mit Adresse und Code",
    ),
    "starts-at-login": ("Starts when you log in: {place}", "Startet bei der Anmeldung: {place}"),
    "running": (
        "The audio helper is running. You can minimize this window.",
        "Der Audio-Helfer läuft. Sie können dieses Fenster minimieren.",
    ),
    "not-paired": ("This computer is not paired.", "Dieser Computer ist nicht gekoppelt."),
    "paired": ("This computer is paired with {service}.", "Dieser Computer ist mit {service} gekoppelt."),
    "at-login": ("The audio helper starts when you log in.", "Der Audio-Helfer startet bei der Anmeldung."),
    "not-at-login": (
        "The audio helper does not start when you log in.",
        "Der Audio-Helfer startet nicht bei der Anmeldung.",
    ),
    "uninstalled": (
        (
            "The start at login, the token and the settings in {folder} are deleted. This computer reports nothing any more.\n"
            "Remove it also on the app's page \"Audio devices\", then delete the program's folder."
        ),
        (
            "Der Start bei der Anmeldung, das Token und die Einstellungen in {folder} sind gelöscht. Dieser Computer meldet"
            " nichts mehr.\n"
            "Entfernen Sie ihn auch in der App auf der Seite „Audiogeräte“, und löschen Sie dann den Ordner des Programms."
        ),
    ),
}
"""Each in English and German."""


def say(name: str, **values: object) -> str:
    """Return a sentence in German if that is the system's language, otherwise in English."""
    return _WORDS[name][_is_german()].format(**values)


def _is_german() -> bool:
    # The variables come first: on Windows, getlocale has the names of Windows ("German_Germany").
    chosen = next(
        (os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), ""
    )
    return (chosen or locale.getlocale()[0] or "").lower().startswith(("de", "german"))
