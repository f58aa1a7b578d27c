"""What people type about their telephone, in both languages; what may mean anything else does nothing."""

import pytest

from bot.commands import Command, understand
from bot.phone_words import is_number
from core.language import Language

EN, DE = Language.EN, Language.DE


@pytest.mark.parametrize(
    ("text", "command", "argument", "language"),
    [
        ("call 0721 123-45", Command.CALL, "0721 123-45", EN),
        ("Call Jürgen Lindner", Command.CALL, "Jürgen Lindner", EN),
        ("<at>PBX for Teams</at> dial *21#", Command.CALL, "*21#", EN),
        ("call", Command.CALL, "", EN),
        ("anrufen 110", Command.CALL, "110", DE),
        ("Frau Weiß anrufen", Command.CALL, "Frau Weiß", DE),
        ("+49 721 12345 anrufen!", Command.CALL, "+49 721 12345", DE),
        ("wähle\u00a01002", Command.CALL, "1002", DE),
        ("hang up", Command.HANG_UP, "", EN),
        ("Auflegen.", Command.HANG_UP, "", DE),
        ("dnd on", Command.DO_NOT_DISTURB, "on", EN),
        ("DND aus", Command.DO_NOT_DISTURB, "off", DE),
        ("nicht stören an", Command.DO_NOT_DISTURB, "on", DE),
        ("do not disturb", Command.DO_NOT_DISTURB, "", EN),
        ("forward to mobile", Command.REDIRECT, "mobile", EN),
        ("forward to +49 171 3920001", Command.REDIRECT, "+49 171 3920001", EN),
        ("forward off", Command.REDIRECT, "off", EN),
        ("umleiten auf mein Handy", Command.REDIRECT, "mobile", DE),
        ("umleiten an 1002", Command.REDIRECT, "1002", DE),
        ("Umleitung aus", Command.REDIRECT, "off", DE),
        ("redirect to voicemail", Command.REDIRECT, "mailbox", EN),
        ("calls", Command.CALLS, "", EN),
        ("verpasste Anrufe", Command.CALLS, "", DE),
        ("iFMC an", Command.MOBILES, "on", DE),
        ("ifmc off", Command.MOBILES, "off", EN),
        ("ifmc", Command.MOBILES, "", None),
        ("primary phone", Command.PRIMARY_PHONE, "", EN),
        ("primäres Telefon", Command.PRIMARY_PHONE, "", DE),
        ("voicemail", Command.VOICEMAIL, "", None),
        ("Sprachnachrichten", Command.VOICEMAIL, "", DE),
    ],
)
def test_commands_of_the_telephone(
    text: str, command: Command, argument: str, language: Language | None
) -> None:
    said = understand(text)
    assert (said.command, said.argument, said.language) == (command, argument, language)
    assert said.is_exact


@pytest.mark.parametrize(
    "text",
    [
        "cal 0721 123",
        "hang up the washing",
        "please hang up",
        "dnd perhaps",
        "forward this mail to Ben",
        "umleiten auf die A5",
        "calling",
        "call " + "x" * 200,
        "callcenter",
        "ifmc perhaps",
        "voicemail to Ben",
    ],
)
def test_what_is_no_command_does_nothing(text: str) -> None:
    assert understand(text).command is None


@pytest.mark.parametrize(
    ("text", "number"), [("0721/123 (45)", True), ("*9", True), ("+", False), ("1a", False)]
)
def test_a_number_is_distinguished_from_a_name(text: str, number: bool) -> None:
    assert is_number(text) is number
