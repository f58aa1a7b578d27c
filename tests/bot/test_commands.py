"""What people type is understood with typos, and nothing that costs something is done on a guess."""

import pytest

from bot.commands import Command, understand
from core.language import Language


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("staus", Command.STATUS),
        ("Statsu", Command.STATUS),
        ("hlep", Command.HELP),
        ("Hife", Command.HELP),
        ("lizens", Command.LICENCE),
        ("Lizenezn", Command.LICENCES),
        ("licence?", Command.LICENCE),
        ("audoi", Command.AUDIO),
        ("Audiogerate", Command.AUDIO),
        ("anmeldne", Command.SIGN_IN),
        ("sing in", Command.SIGN_IN),
        ("abmleden", Command.SIGN_OUT),
        ("Nachichten", Command.NOTICES),
        ("show me my licence please", Command.LICENCE),
        ("Wie ist mein Status?", Command.STATUS),
        ("how do I sign in", Command.SIGN_IN),
        ("bitte nicht abmelden", Command.SIGN_OUT),
    ],
)
def test_slips_and_short_sentences_are_understood_but_known_as_a_guess(text: str, command: Command) -> None:
    said = understand(text)
    assert said.command is command
    assert said.is_exact == (text == "licence?")


@pytest.mark.parametrize("text", ["SIGN-OUT!", "<at>PBX</at> abmelden", "log out", "Abmelden."])
def test_a_command_itself_is_exact_however_it_is_written(text: str) -> None:
    assert understand(text).command is Command.SIGN_OUT
    assert understand(text).is_exact


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        "make me a sandwich",
        "sign up",
        "x",
        "stat",
        "hi",
        "status or licence",
        "the audio of the film that we saw last week in the cinema was too loud for me",
        "ß" * 5000,
    ],
)
def test_what_may_mean_anything_is_not_understood(text: str | None) -> None:
    assert understand(text).command is None


def test_the_language_of_a_mistyped_word_is_known() -> None:
    assert understand("lizens").language is Language.DE
    assert understand("licnce").language is Language.EN
