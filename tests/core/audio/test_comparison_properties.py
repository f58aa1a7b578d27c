"""What holds for every label, in every language of the vocabulary: by properties, not by examples.

The nouns, roles and stand-ins are all those of `core/audio/terms.toml`; the devices are those of the labelled set and
made-up models of real makers.
"""

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.audio import vocabulary as words
from core.audio.comparison import Sameness, compare
from core.audio.device import AudioDevice
from core.audio.label import WAVE_NAME_LENGTH, Sort, read
from core.audio.vocabulary import Noun
from tests.support.audio_labels import PAIRS, machines

SAME, DIFFERENT, UNSURE = Sameness.SAME, Sameness.DIFFERENT, Sameness.UNSURE
EXAMPLES = settings(max_examples=150, derandomize=True, deadline=None)


def verdict(one: str, other: str) -> Sameness:
    found = compare(AudioDevice(one), AudioDevice(other)).verdict
    assert compare(AudioDevice(other), AudioDevice(one)).verdict is found, (one, other)
    return found


def phrases(table: dict[str, str]) -> list[str]:
    return [phrase.strip() for text in table.values() for phrase in text.split("|") if phrase.strip()]


def _collected() -> list[str]:
    labels = {label for _source, devices in machines() for _what, label in devices}
    return sorted(labels | {label for one, other, _expected in PAIRS for label in (one, other)})


COLLECTED = _collected()
NAMED = [
    label
    for label in COLLECTED
    if read(label).sort is not Sort.NAMELESS and not read(label).address and len(label) != WAVE_NAME_LENGTH
]
NOUNS: dict[str, list[str]] = {name: phrases(table) for name, table in words.TERMS["nouns"].items()}
OF_A_HEADSET = [
    phrase
    for name in ("headset", "headset microphone", "headset earphone", "headphones", "microphone", "speakers")
    for phrase in NOUNS[name]
]
ROLES = phrases(words.TERMS["roles"])
STAND_INS = phrases(words.TERMS["stand_ins"])
VIRTUAL = phrases(words.TERMS["virtual"])

MAKERS = [
    "Jabra",
    "Plantronics",
    "Poly",
    "EPOS",
    "Sennheiser",
    "Yealink",
    "Logitech",
    "HyperX",
    "SteelSeries",
]
FAMILIES = ["Evolve", "Engage", "Voyager", "Blackwire", "Impact", "Zone", "Cloud", "Arctis", "Savi", "Sync"]
CARDS = [
    "Zorblat Sound Engine",
    "Quux Audio Controller",
    "Fnord X7 Audio",
    "ThinkPad Foo Dock",
    "Acme Interface",
]

models = st.builds(
    lambda maker, family, number: f"{maker} {family} {number}",
    st.sampled_from(MAKERS),
    st.sampled_from(FAMILIES),
    st.integers(10, 9999),
)
nouns = st.sampled_from(OF_A_HEADSET)


def test_the_vocabulary_covers_the_languages_in_which_systems_are_sold() -> None:
    languages = {language for table in words.TERMS["nouns"].values() for language in table}
    assert len(languages) >= 40
    assert len(words.TERMS["roles"]) >= 40
    assert sum(map(len, NOUNS.values())) >= 1000
    assert words.TERMS["sources"]


@EXAMPLES
@given(st.sampled_from(COLLECTED), st.sampled_from(COLLECTED))
def test_both_sides_get_the_same_answer(one: str, other: str) -> None:
    assert compare(AudioDevice(one), AudioDevice(other)) == compare(AudioDevice(other), AudioDevice(one))


@pytest.mark.parametrize(
    "label", ["Headset (Jabra Evolve2 65)", "Speakers (Realtek(R) Audio)", "Yeti Nano (046d:0ab7)"]
)
def test_a_role_in_any_language_changes_nothing(label: str) -> None:
    for role in ROLES:
        for other in (label, "Headset (Plantronics Blackwire 3220)"):
            wanted = verdict(label, other)
            assert verdict(f"{role} - {label}", other) is wanted, label
            assert verdict(f"{role.title()} – {label}", other) is wanted, label
        assert verdict(f"{role} ({label})", label) is SAME, label


def test_a_role_alone_is_no_device() -> None:
    for role in ROLES:
        assert verdict(role, "Headset (Jabra Evolve2 65)") is UNSURE, role
        assert verdict(role, role) is UNSURE, role


@pytest.mark.parametrize("stand_in", STAND_INS)
def test_the_default_device_under_any_languages_name_is_no_device(stand_in: str) -> None:
    for label in (
        stand_in,
        f"Microsoft {stand_in} - Input",
        f"{stand_in} Microsoft - Output",
        stand_in.title(),
    ):
        for other in ("Headset (Jabra Evolve2 65)", "Speakers (Realtek(R) Audio)", "AirPods Pro"):
            assert verdict(label, other) is UNSURE, (label, other)


@EXAMPLES
@given(st.text(st.characters(categories=["Lo"], min_codepoint=0x370), min_size=3, max_size=12))
def test_words_that_nobody_knows_in_the_place_of_a_device_are_no_device(text: str) -> None:
    if read(text).sort is not Sort.ONBOARD:  # it happened to be the name of a maker of chips
        assert verdict(text, "Headset (Jabra Evolve2 65)") is UNSURE


@pytest.mark.parametrize("other", ["Headset (Jabra Evolve2 65)", "Speakers (Realtek(R) Audio)", "Yeti Nano"])
def test_what_passes_sound_on_may_be_any_hardware(other: str) -> None:
    for word in VIRTUAL:
        for label in (f"{word} Zorblat", f"Speakers ({word} Zorblat)"):
            assert verdict(label, other) is UNSURE, label


@EXAMPLES
@given(nouns, nouns, models)
def test_the_nouns_of_a_headset_in_any_two_languages_name_one_device(
    one: str, other: str, model: str
) -> None:
    assert verdict(f"{one.title()} ({model})", f"{other.title()} ({model})") is SAME


@EXAMPLES
@given(
    st.sampled_from(NOUNS["headphones"] + NOUNS["headset earphone"]),
    st.sampled_from(NOUNS["speakers"] + NOUNS["line out"] + NOUNS["digital audio"]),
    st.sampled_from(CARDS),
)
def test_two_outputs_of_a_card_that_nobody_wears_are_never_one_device(
    worn: str, standing: str, card: str
) -> None:
    assert verdict(f"{worn} ({card})", f"{standing} ({card})") is UNSURE


@pytest.mark.parametrize("other", ["", "Headset (Jabra Evolve2 65)", "Speakers (Realtek(R) Audio)"])
def test_case_normalisation_and_marks_change_nothing(other: str) -> None:
    for one in NAMED:
        if "®" in one or "(R)" in one:
            continue
        wanted = verdict(one, other or one)
        for spelt in (
            one.upper() if one.upper().lower() == one.lower() else one,
            unicodedata.normalize("NFD", one),
            unicodedata.normalize("NFC", one),
            f"\u200e{one}\u200f",
            f"\u202a{one}\u202c",
            f"  {one}  ",
            one.replace(" ", "\u00a0"),
            one.replace("(", "\uff08").replace(")", "\uff09"),
        ):
            assert verdict(spelt, other or one) is wanted, spelt


def cut(label: str) -> list[str]:
    if len(label) <= WAVE_NAME_LENGTH:
        return [label, f"{label}  ", f"{label}\0"]
    short = label[:WAVE_NAME_LENGTH]
    return [short, short.rstrip(), f"{short})", f"{short}  ", f"{short}\0"]


def test_a_cut_name_is_never_another_device_than_its_own() -> None:
    for label in COLLECTED:
        for short in cut(label):
            assert verdict(short, label) is not DIFFERENT, short


@EXAMPLES
@given(nouns, models, st.sampled_from(["", " Hands-Free AG Audio", " Stereo", " Series", " USB", " (Chat)"]))
def test_a_cut_name_of_any_language_is_never_another_device_than_its_own(
    noun: str, model: str, suffix: str
) -> None:
    for label in (f"{noun.title()} ({model}{suffix})", f"{noun} (2- {model}{suffix})"):
        for short in cut(label):
            assert verdict(short, label) is not DIFFERENT, short


@EXAMPLES
@given(nouns, st.sampled_from(MAKERS), st.sampled_from(FAMILIES), st.integers(10, 99), st.integers(100, 999))
def test_a_name_cut_before_its_number_is_not_reported(
    noun: str, maker: str, family: str, one: int, other: int
) -> None:
    full = f"{noun} ({maker} {family} {one})"
    for length in range(len(noun) + 2 + len(maker) + 2, len(full) - 1):
        short = full[:length]
        assert verdict(short, f"{noun} ({maker} {family} {other})") is not SAME, short
        if not short.endswith(f"{family} {one}"):
            assert verdict(short, full) is UNSURE, short


@EXAMPLES
@given(nouns, models, st.integers(2, 19), st.sampled_from(["- ", " - ", " — "]))
def test_a_counter_never_makes_another_device(noun: str, model: str, number: int, dash: str) -> None:
    assert verdict(f"{noun} ({number}{dash}{model})", f"{noun} ({model})") is not DIFFERENT
    assert verdict(f"{noun} ({number}{dash}{model})", f"{noun} ({number}- {model})") is SAME
    assert verdict(f"{noun} ({number}{dash}{model})", model) is SAME


@EXAMPLES
@given(models, nouns)
def test_the_makers_name_may_be_missing(model: str, noun: str) -> None:
    without = model.split(" ", 1)[1]
    assert verdict(f"{noun} ({model})", without) is SAME


@EXAMPLES
@given(nouns, nouns, models, models)
def test_other_models_are_other_devices(one: str, other: str, model: str, second: str) -> None:
    if model.split(" ", 1)[1] == second.split(" ", 1)[1]:
        return
    assert verdict(f"{one} ({model})", f"{other} ({second})") is not SAME
    if model.split()[-1] != second.split()[-1]:
        assert verdict(f"{one} ({model})", f"{other} ({second})") is DIFFERENT


@EXAMPLES
@given(
    models, st.sampled_from(["+", " Plus", " II", " III", " Gen 2", " 2nd Gen", " Mk2", " MKII", " 2", "²"])
)
def test_a_sign_behind_the_name_makes_another_model(model: str, sign: str) -> None:
    for pattern in ("{}", "Headset ({})"):
        one, other = pattern.format(model), pattern.format(model + sign)
        assert verdict(one, other) is (UNSURE if read(one).is_full_length else DIFFERENT), sign


@EXAMPLES
@given(nouns, models, st.integers(1, 0xFFFF), st.integers(1, 0xFFFF))
def test_usb_ids_decide(noun: str, model: str, one: int, other: int) -> None:
    first, second = (f"{noun} ({model}) (0b0e:{number:04x})" for number in (one, other))
    assert verdict(first, second) is (SAME if one == other else DIFFERENT)


@pytest.mark.parametrize("adapter", ["Jabra Link 380", "Jabra Link 370", "Jabra Dongle"])
@pytest.mark.parametrize("headset", ["Jabra Evolve2 65", "Jabra Evolve2 75", "Evolve2 85"])
def test_an_adapter_may_carry_a_headset_with_and_without_usb_ids(adapter: str, headset: str) -> None:
    assert verdict(f"Headset ({adapter})", f"Headset ({headset})") is UNSURE
    assert verdict(f"Headset ({adapter}) (0b0e:24c7)", f"Headset ({headset}) (0b0e:0a44)") is UNSURE
    assert verdict(f"Headset ({adapter})", "Headset (Poly Voyager 4320)") is DIFFERENT
    assert verdict(f"Headset ({adapter}) (0b0e:24c7)", "Microphone (Logitech BRIO) (046d:085e)") is DIFFERENT


GENERIC = [
    "USB Audio Device",
    "USB-Audiogerät",
    "Périphérique audio USB",
    "USB PnP Sound Device",
    "USB Audio",
]


def test_a_generic_name_alone_is_never_one_device_across_kinds() -> None:
    for one, other in itertools.combinations(Noun, 2):
        assert verdict(one, other) is not SAME
        for name in GENERIC:
            assert verdict(f"{one} ({name})", f"{other} ({name})") is not SAME
        if not words.COMPUTER.search(f"{one} {other}"):  # "internal microphone" does say whose it is
            assert verdict(one, other) is verdict(one, one) is UNSURE


def test_two_chips_of_one_computer_are_two_devices() -> None:
    """Intel's sound processor has the microphones, and a name in every language; another chip has the rest."""
    for array in (
        "Microphone Array (Intel® Smart Sound Technology)",
        "Réseau de microphones (Technologie Intel® Smart",
    ):
        assert verdict(array, "Speakers (Realtek(R) Audio)") is DIFFERENT
    assert (
        verdict("Speakers 1 (Realtek HD Audio output with SST)", "Speakers (Realtek(R) Audio)")
        is not DIFFERENT
    )
    for driver in (
        "High Definition Audio Device",
        "High Definition Audio-Gerät",
        "Périphérique High Definition Audio",
        "Устройство с поддержкой High Definition Audio",
        "High Definition Audio 设备",
    ):
        assert verdict(f"Speakers ({driver})", "Microphone (Realtek(R) Audio)") is DIFFERENT
        assert verdict(f"Speakers ({driver})", "Speakers (HD Audio Speaker)") is not DIFFERENT


@EXAMPLES
@given(nouns, nouns, models, st.sampled_from([*GENERIC, "Realtek(R) Audio", "USB PnP Audio Device"]))
def test_two_interfaces_on_one_machine_are_two_devices(
    one: str, other: str, model: str, generic: str
) -> None:
    assert verdict(f"{one} ({generic})", f"{other} ({model})") is DIFFERENT
    assert verdict(f"{one} (Realtek(R) Audio)", f"{other} ({generic})") is (
        DIFFERENT if "Realtek" not in generic else verdict(f"{one} ({generic})", f"{other} ({generic})")
    )


PROFILES = [" Hands-Free AG Audio", " Hands-Free", " Hands-Free HF Audio", " Stereo", " Avrcp Transport", ""]


@EXAMPLES
@given(
    st.sampled_from(PROFILES),
    st.sampled_from(PROFILES),
    st.sampled_from(["", " (Bluetooth)"]),
    st.sampled_from(["WH-1000XM4", "OpenRun Pro by Shokz", "Annas AirPods", "Xyzzy Buds 3", "Momentum 4"]),
)
def test_the_bluetooth_names_of_one_headset_are_one(one: str, other: str, suffix: str, name: str) -> None:
    assert verdict(f"Headset ({name}{one}){suffix}", f"Headphones ({name}{other})") is not DIFFERENT
    if one and other:
        assert verdict(f"Headset ({name}{one}){suffix}", f"Headphones ({name}{other})") is SAME


@EXAMPLES
@given(st.sampled_from(NAMED), st.sampled_from(NAMED))
def test_a_loopback_or_monitor_follows_its_device(one: str, other: str) -> None:
    if read(one).is_monitor or read(other).is_monitor:
        return
    plain = verdict(one, other)
    for listening in (f"{one} [Loopback]", f"Monitor of {one}"):
        followed = verdict(listening, other)
        assert followed is not SAME
        assert (followed is DIFFERENT) is (plain is DIFFERENT), listening


PROFILE_PAIRS = {
    "de": ("Analoges Stereo", "Mono"),
    "en": ("Analog Stereo", "Mono"),
    "es": ("Estéreo analógico", "Mono"),
    "fi": ("Analoginen stereo", "Mono"),
    "fr": ("Stéréo analogique", "Mono"),
    "hu": ("Analóg sztereó", "Monó"),
    "ja": ("アナログステレオ", "モノ"),
    "ko": ("아날로그 스테레오", "모노"),
    "nl": ("Analoog stereo", "Mono"),
    "pl": ("Analogowe stereo", "Mono"),
    "pt": ("Estéreo analógico", "Monofônico"),
    "ru": ("Аналоговый стерео", "Моно"),
    "tr": ("Analog Stereo", "Tek Kanallı"),
    "uk": ("Аналогове стерео", "Моно"),
    "zh": ("模拟立体声", "单声道"),
}


@EXAMPLES
@given(models, st.sampled_from(sorted(PROFILE_PAIRS)), st.sampled_from(sorted(PROFILE_PAIRS)))
def test_the_profile_that_a_sound_server_appends_tells_no_model(model: str, one: str, other: str) -> None:
    stereo, mono = PROFILE_PAIRS[one][0], PROFILE_PAIRS[other][1]
    assert verdict(f"{model} {stereo}", f"{model} {mono}") is SAME
    assert verdict(f"{model} {stereo}", f"Headset ({model})") is SAME
    assert verdict(f"{model} {stereo}", f"{model}9 {mono}") is DIFFERENT


@EXAMPLES
@given(models, nouns, st.sampled_from([" - ", " – "]))
def test_the_sockets_name_may_stand_before_a_dash(model: str, noun: str, dash: str) -> None:
    assert verdict(f"{noun.title()}{dash}{model}", f"Headset ({model})") is SAME


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Micrófono del MacBook Pro", "MacBook Pro Microphone"),
        ("Микрофон MacBook Pro", "MacBook Pro-Mikrofon"),
        ("MacBook Proのマイク", "MacBook Pro麦克风"),
        ("Haut-parleurs MacBook Air", "MacBook Air Speakers"),
        ("Altoparlanti di MacBook Air", "MacBook Air スピーカー"),
    ],
)
def test_the_computers_own_socket_is_one_in_every_language(one: str, other: str) -> None:
    assert verdict(one, other) is SAME
    assert verdict(one, "AirPods Pro") is DIFFERENT


@pytest.mark.parametrize("number", range(1, 10))
def test_the_socket_that_a_driver_puts_before_a_monitor_is_no_piece(number: int) -> None:
    driver = "(AMD High Definition Audio Device)"
    assert verdict(f"{number} - DELL U2720Q {driver}", f"DELL U2720Q {driver}") is SAME
    assert verdict(f"{number} - DELL U2720Q {driver}", f"9 - LG ULTRAFINE {driver}") is DIFFERENT


@pytest.mark.parametrize(
    "label",
    [
        "Periferico di uscita predefinito",
        "Standaarduitvoerapparaat",
        "Standard-Kommunikationsgerät",
        "Périphérique de communication par défaut",
        "Micrófono predeterminado del sistema",
        "Domyślny głośnik",
        "Default USB Audio Device",
    ],
)
def test_words_for_a_default_device_are_no_device(label: str) -> None:
    assert verdict(label, "Headset (Jabra Evolve2 65)") is UNSURE


def test_a_noun_that_was_cut_before_the_device_is_no_device() -> None:
    for phrase in itertools.chain.from_iterable(NOUNS.values()):
        short = phrase[:WAVE_NAME_LENGTH]
        if read(short).sort is not Sort.ONBOARD:  # "built-in microphone" does say whose it is
            assert verdict(short, "Jabra SPEAK 510 USB") is UNSURE, phrase


@EXAMPLES
@given(
    nouns,
    models,
    st.sampled_from(
        ["MME", "Windows WASAPI", "Windows DirectSound", "WDM-KS", "Core Audio", "ALSA", "PulseAudio"]
    ),
    st.sampled_from([" ({})", " [{}]", ", {}"]),
)
def test_the_sound_system_that_a_program_appends_tells_no_model(
    noun: str, model: str, system: str, form: str
) -> None:
    label = f"{noun.title()} ({model})"
    assert verdict(label + form.format(system), label) is SAME
    assert verdict(label + form.format(system), f"Headset ({model}9)") is not SAME
    assert verdict(model + form.format(system), label) is SAME


HANDS_FREE = [
    "Hands-Free AG Audio",
    "Áudio Mãos-Livres AG",
    "Manos libres",
    "Mains libres",
    "Mani libere",
    "Vivavoce",
    "Freisprecheinrichtung",
    "Handenvrij",
    "ハンズフリー",
    "핸즈프리",
    "免提",
]


@EXAMPLES
@given(models, st.sampled_from(HANDS_FREE), st.sampled_from(HANDS_FREE), nouns)
def test_the_profile_for_calls_tells_no_model_in_any_language(
    model: str, one: str, other: str, noun: str
) -> None:
    assert verdict(f"{noun.title()} ({model} {one})", f"Headset ({model} {other})") is SAME
    assert verdict(f"{noun.title()} ({model} {one})", f"Headphones ({model} Stereo)") is SAME
    assert verdict(f"{model} (Hands-Free)", f"{noun.title()} ({model} {one})") is SAME


@EXAMPLES
@given(nouns, nouns, st.sampled_from(["Jabra", "JBL", "Plantronics", "Sennheiser", "JBL Hands-Free"]))
def test_a_makers_name_alone_is_one_headset_in_one_list(one: str, other: str, maker: str) -> None:
    assert verdict(f"{one.title()} ({maker})", f"{other.title()} ({maker})") is SAME
    assert verdict(f"{one.title()} ({maker})", "Evolve2 65") is (UNSURE if maker == "Jabra" else DIFFERENT)


@EXAMPLES
@given(st.integers(1000, 9999), st.sampled_from("ABCDE"), st.sampled_from("ABCDE"))
def test_letters_of_a_series_before_the_same_number_are_two_models(number: int, one: str, other: str) -> None:
    wanted = SAME if one == other else DIFFERENT
    assert verdict(f"Headphones (W{one}-{number}XM5)", f"Headset (W{other}-{number}XM5)") is wanted


@EXAMPLES
@given(nouns, models, st.integers(1, 3))
def test_the_first_letters_of_a_cut_name_may_tell_it_from_another(
    noun: str, model: str, letters: int
) -> None:
    short, other = f"Echo Cancelling Speakerphone ({'Quuxophone'[:letters]}", f"{noun} ({model})"
    assert verdict(short, other) is DIFFERENT
    assert verdict(f"Echo Cancelling Speakerphone ({model[:letters]}", other) is UNSURE
    assert verdict("Headset Microphone (Plantronics", "Speakers (Realtek(R) Audio)") is DIFFERENT
    assert verdict("Headset Microphone (Plantronics", "Headset (Poly Blackwire 3220)") is UNSURE


def test_a_name_that_is_cut_behind_a_bracket_is_its_own() -> None:
    for full in (
        "Digital Audio (S/PDIF) (High Definition Audio Device)",
        "Line (A+B) (Fnord X7 Studio Interface)",
    ):
        assert verdict(full[:WAVE_NAME_LENGTH], full) is SAME


@pytest.mark.parametrize(
    "model", ["C922 Pro Stream Webcam", "Logitech StreamCam", "Facecam Stream", "Brio Stream"]
)
def test_a_camera_passes_no_sound_on(model: str) -> None:
    assert verdict(f"Microphone ({model})", "Speakers (Realtek(R) Audio)") is DIFFERENT


@pytest.mark.parametrize("mix", NOUNS["stereo mix"])
def test_a_mix_of_a_chip_is_no_virtual_device(mix: str) -> None:
    assert verdict(f"{mix} (Realtek High Definition Audio)", "Microphone (2 - USB Audio Device)") is DIFFERENT
    assert (
        verdict(f"{mix} (Realtek High Definition Audio)", "Speakers (Realtek High Definition Audio)")
        is UNSURE
    )
