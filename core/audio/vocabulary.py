"""The words that stand in audio labels and say nothing about which piece of hardware is meant.

Everything here is folded as `fold` in `label.py` leaves it: lower case, Latin letters without accents.
Endpoint names are those of Windows ("Speakers", "Kopfhörer"), in the languages that were found in public reports.
"""

import re
from enum import StrEnum
from typing import Final


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Noun(StrEnum):
    """What an endpoint calls itself, in any language."""

    HEADSET = "headset"
    HEADSET_MICROPHONE = "headset microphone"
    HEADSET_EARPHONE = "headset earphone"
    HEADPHONES = "headphones"
    EXTERNAL_HEADPHONES = "external headphones"
    MICROPHONE = "microphone"
    MICROPHONE_ARRAY = "microphone array"
    INTERNAL_MICROPHONE = "internal microphone"
    EXTERNAL_MICROPHONE = "external microphone"
    FRONT_MICROPHONE = "front microphone"
    REAR_MICROPHONE = "rear microphone"
    SPEAKERS = "speakers"
    INTERNAL_SPEAKERS = "internal speakers"
    EXTERNAL_SPEAKERS = "external speakers"
    SPEAKERPHONE = "speakerphone"
    LINE_IN = "line in"
    LINE_OUT = "line out"
    DIGITAL = "digital audio"
    STEREO_MIX = "stereo mix"


_NOUNS: Final[dict[Noun, str]] = {
    Noun.HEADSET: """headset | kopfhorer mit mikrofon | casque pour telephone | casque de telephone
        | auriculares con microfono | cuffia auricolare | zestaw sluchawkowy | nahlavni souprava | гарнитура
        | ヘッドセット | 头戴式耳机 | 헤드셋 | handset | horer | telefonhorer""",
    Noun.HEADSET_MICROPHONE: """headset microphone | headset mic | headset mikrofon | headsetmikrofon
        | kopfhorermikrofon | kopfhorer mikrofon | micro casque | microphone du casque | microphone casque
        | microphone de casque | microfono de los auriculares | microfono del auricular | microfono cuffia
        | microfono auricolare | headset microfoon | microfoon van headset | microfone do headset
        | microfone do auricular | mikrofon zestawu sluchawkowego | микрофон гарнитуры | ヘッドセット マイク
        | 头戴式麦克风 | 耳机式麦克风 | 헤드셋 마이크""",
    Noun.HEADSET_EARPHONE: """headset earphone | headset earphones | headset ohrhorer | headset kopfhorer
        | headset horer | ecouteur du casque | ecouteurs du casque | auricular del casco | oortelefoon van headset
        | fone do headset | sluchawki zestawu sluchawkowego | ヘッドセット イヤフォン | 头戴式受话器 | 헤드셋 이어폰""",
    Noun.HEADPHONES: """headphones | headphone | earphone | earphones | earbuds | kopfhorer | ohrhorer | casque
        | ecouteurs | auriculares | auricular | cuffie | auricolari | hoofdtelefoon | koptelefoon | fones de ouvido
        | fone de ouvido | auscultadores | sluchawki | horlurar | hovedtelefoner | hodetelefoner | kuulokkeet
        | sluchatka | fejhallgato | kulaklik | наушники | головной телефон | навушники | ヘッドホン | ヘッドフォン
        | イヤホン | 耳机 | 耳機 | 헤드폰 | 이어폰""",
    Noun.EXTERNAL_HEADPHONES: "external headphones | externe kopfhorer | ecouteurs externes",
    Noun.MICROPHONE: """microphone | mic | mono microphone | stereo microphone | desktop microphone
        | digital microphone | mic in | mikrofon | mikrofoneingang | micro | microfono | microfoon | microfone
        | mikrofoni | микрофон | мікрофон | マイク | 麦克风 | 麥克風 | 마이크""",
    Noun.MICROPHONE_ARRAY: """microphone array | internal microphone array | mic array | mikrofonarray
        | mikrofon array | interne mikrofone | reseau de microphones | groupe de microphones
        | ensemble de microphones | matrice de microphones | varios microfonos | grupo de microfonos
        | matriz de microfonos | gruppo microfoni | array microfoni | microfoonmatrix | grupo de microfones
        | matriz de microfones | conjunto de microfones | zestaw mikrofonow | mikrofonuppsattning | mikrofonni pole
        | mikrofon dizisi | набор микрофонов | массив микрофонов | マイク配列 | 麦克风阵列 | 마이크 배열""",
    Noun.INTERNAL_MICROPHONE: """internal microphone | internal mic | built in microphone | built in input
        | internes mikrofon | integriertes mikrofon | eingebautes mikrofon | micro interne | microphone interne
        | microphone integre | microfono interno | interne microfoon | 内蔵マイク""",
    Noun.EXTERNAL_MICROPHONE: "external microphone | external mic | externes mikrofon | microphone externe",
    Noun.FRONT_MICROPHONE: "front microphone | front mic | frontmic | mic in at front panel | mic in at front panel pink",
    Noun.REAR_MICROPHONE: "rear microphone | rear mic | mic in at rear panel | mic in at rear panel pink",
    Noun.SPEAKERS: """speakers | speaker | laptop speakers | pc speaker | lautsprecher | haut parleurs | haut parleur
        | altavoces | altavoz | altoparlanti | altoparlante | luidsprekers | luidspreker | alto falantes
        | alto falante | altifalantes | colunas | glosniki | glosnik | hogtalare | hojttalere | hojttaler
        | hoyttalere | kaiuttimet | reproduktory | hangszorok | hangszoro | hoparlor | hoparlorler | динамики
        | динаміки | колонки | スピーカー | 扬声器 | 揚聲器 | 喇叭 | 스피커""",
    Noun.INTERNAL_SPEAKERS: """internal speakers | internal speaker | built in speakers | built in speaker
        | built in output | interne lautsprecher | interner lautsprecher | integrierte lautsprecher
        | haut parleurs internes | haut parleurs integres | altavoces internos""",
    Noun.EXTERNAL_SPEAKERS: "external speakers | externe lautsprecher",
    Noun.SPEAKERPHONE: """echo cancelling speakerphone | echo canceling speakerphone | speakerphone
        | communications speakerphone | freisprecheinrichtung | freisprechtelefon
        | freisprechtelefon mit echounterdruckung | echounterdruckendes freisprechtelefon
        | freisprecheinrichtung mit echounterdruckung | echounterdruckende freisprecheinrichtung
        | konferenztelefon | haut parleur avec annulation d echo | altavoz con cancelacion de eco
        | vivavoce con eliminazione eco | громкая связь | エコー キャンセル スピーカーフォン""",
    Noun.LINE_IN: """line in | line | line 1 | aux | line in at rear panel | line in at rear panel blue | line eingang
        | entree ligne | ligne | linea | linea de entrada | linha | линия | линейный вход""",
    Noun.LINE_OUT: "line out | line ausgang | salida de linea | линейный выход",
    Noun.DIGITAL: """digital audio | digital audio s pdif | digital audio hdmi | digital output | spdif | spdif out
        | spdif interface | digital audio interface | digitalaudio | digitale audioschnittstelle | digitalausgabe
        | digitalaudio s pdif | digitalaudio hdmi | realtek digital output | hdmi | sortie numerique
        | audio numerique | salida digital | audio digital | uscita digitale | output | digital output device""",
    Noun.STEREO_MIX: """stereo mix | stereomix | what u hear | wave out mix | mixage stereo | mezcla estereo
        | mixagem estereo | missaggio stereo | стерео микшер""",
}

NOUNS: Final[dict[str, Noun]] = {
    " ".join(phrase.split()): noun for noun, phrases in _NOUNS.items() for phrase in phrases.split("|")
}

ROLES: Final = frozenset(
    """default|standard|system default|standardgerat|par defaut|predeterminado|por defecto|predefinito|predefinita
    |standaard|padrao|predefinicao|domyslne|domyslny|standaardapparaat|vychozi|varsayilan|oletus|alapertelmezett
    |по умолчанию|за замовчуванням|既定|デフォルト|默认|預設|기본값|기본
    |communications|communication|kommunikation|comunicaciones|comunicazioni|communicatie|comunicacoes|komunikacja
    |komunikace|iletisim|связь|связи|通信|通讯|통신|default device|same as system|wie system|systemstandard
    |multimedia|console""".replace("\n", "")
    .replace("    ", "")
    .split("|")
)
"""What browsers and programs put before " - " for the device that has a role at this moment."""

ROLE_WORDS: Final = word_set(
    """
    default standard system input output device gerat eingabegerat ausgabegerat communication communications
    kommunikation kommunikationsgerat standardgerat standardeingabegerat standardausgabegerat
    standardkommunikationsgerat same as wie audio playback recording none kein keine custom setup
    """
)
"""A name of nothing but these ("Default input device") names a role, and no device."""

TRANSPORTS: Final[dict[str, str]] = {
    "built in": "internal",
    "integriert": "internal",
    "internal": "internal",
    "intern": "internal",
    "integre": "internal",
    "bluetooth": "bluetooth",
    "usb": "usb",
    "hdmi": "display",
    "displayport": "display",
    "airplay": "network",
    "virtual": "virtual",
    "virtuell": "virtual",
    "aggregate": "virtual",
    "thunderbolt": "thunderbolt",
    "pci": "internal",
}
"""What Chrome on macOS puts in brackets behind a name."""

BRANDS: Final[dict[str, str]] = {
    word: family
    for family, words in {
        "gn": "gn netcom jabra blueparrott",
        "poly": "poly plantronics polycom hp hewlett packard",
        "epos": "epos sennheiser demant",
        "logitech": "logitech logi logicool",
        "microsoft": "microsoft",
        "kingston": "hyperx kingston",
        "corsair": "corsair",
        "steelseries": "steelseries",
        "razer": "razer",
        "sony": "sony",
        "apple": "apple beats",
        "samsung": "samsung harman jbl akg",
        "bose": "bose",
        "yealink": "yealink",
        "lenovo": "lenovo",
        "dell": "dell alienware",
        "anker": "anker soundcore",
        "creative": "creative",
        "asus": "asus",
        "snom": "snom",
        "konftel": "konftel",
        "vt": "vt",
        "audio-technica": "technica",
        "rode": "rode",
        "blue": "blue",
        "focusrite": "focusrite",
        "behringer": "behringer",
        "trust": "trust",
        "cisco": "cisco",
        "avaya": "avaya",
        "agfeo": "agfeo",
        "gigaset": "gigaset",
    }.items()
    for word in words.split()
}
"""Makers, by the family that sells under several names (Plantronics became Poly, then HP)."""

NOISE: Final = word_set(
    """
    usb usb2 usb3 audio device devices gerat audiogerat analog analoges analogue analogique analogico digital
    digitales stereo mono duplex input output eingang ausgang sound card soundkarte ms uc uac headset
    headsets headphone headphones kopfhorer earphone earphones microphone mikrofon mic micro microfono
    speaker speakers lautsprecher speakerphone series the a s inc ltd corp corporation co gmbh r tm adapter
    fallback chat game multichannel surround bluetooth hands free handsfree ag profile output0 hfp hsp a2dp
    unit head echo cancelling canceling array interface entrada salida estereo sortie entree full speed high
    webcam camera kamera hd bt
    """
)
"""Words of a name that do not tell one model from another."""

_TRAILING: Final = (
    # Bluetooth profiles, and the two halves of a gaming headset
    r"hands[- ]?free(?: ag)?(?: audio)?",
    r"freisprechen",
    r"hfp|hsp|a2dp|avrcp|le audio",
    r"headset head unit(?: \(hsp/hfp\))?",
    r"high fidelity playback(?: \(a2dp sink\))?",
    r"chat|game|bt|2\.4(?: ?ghz)?",
    r"find my|wo ist\??|localiser",
    # PulseAudio and ALSA
    r"analog(?:es|ue|ique|ico)? (?:stereo|mono)(?: duplex)?",
    r"(?:estereo|stereo) (?:analogico|analogique|digital(?:e)?)",
    r"analog(?:es)? (?:surround|output|input|ausgang|eingang)(?: \d\.\d)?",
    r"digital(?:es)? (?:stereo|surround|output|input)(?: \d\.\d)?",
    r"multichannel(?: input| output)?",
    r"stereo|mono|monophonie|input|output",
    r"usb audio(?: #\d+)?",
    r"audio",
)
TRAILING: Final = re.compile(
    r"[\s,:/-]*(?:\b(?:"
    + "|".join(_TRAILING)
    + r")|\((?:iec958|hdmi(?: ?/ ?displayport)?(?: \d+)?|s/?pdif)\))$"
)
"""What a driver or a Bluetooth profile appends to a name; taken off again and again."""

ALIASES: Final = {"bw": "blackwire", "hs": "headset"}
"""Short forms that makers themselves use for a family of products."""

VARIANTS: Final = word_set("ms uc mono stereo duo dual")
"""Variants of one model, often left out: one side may lack it, but two different ones are two pieces."""

POSITIONS: Final = word_set("front rear back left right center line headphone headphones 1 2 3 4")
"""What tells sockets of one device apart."""

TALKS_OR_LISTENS: Final = frozenset(
    (
        *(Noun.MICROPHONE, Noun.MICROPHONE_ARRAY, Noun.INTERNAL_MICROPHONE, Noun.EXTERNAL_MICROPHONE),
        *(Noun.SPEAKERS, Noun.INTERNAL_SPEAKERS, Noun.EXTERNAL_SPEAKERS, Noun.EXTERNAL_HEADPHONES),
    )
)
"""Nouns that systems without brackets append to a device's name. "Earbuds" and the like are part of the name."""

OUTSIDE: Final = frozenset((Noun.EXTERNAL_HEADPHONES, Noun.EXTERNAL_MICROPHONE, Noun.EXTERNAL_SPEAKERS))

GENERIC: Final = NOISE | word_set(
    """
    generic cmedia media pnp ks advanced definition multimedia codec set webcam camera kamera controller
    class mit fur von unterstutzung periferico perifericos dispositivo peripherique de wireless wired usb20 2
    0 3 1 устройство поддержкои с digitale schnittstelle audioschnittstelle phone telefon conference realtek
    """
)
"""A name of nothing but these is one that many devices have ("USB PnP Sound Device", "High Definition Audio")."""

DISPLAY_DRIVERS: Final = (
    "nvidia high definition audio",
    "amd high definition audio",
    "amd hdmi output",
    "ati hdmi audio",
    "intel display-audio",
    "intel display audio",
    "hd audio driver for display audio",
    "high definition audio for display",
    "nvidia hdmi",
)
"""The graphics card's sound: the words before the bracket are then the monitor's name."""

ONBOARD: Final = re.compile(
    r"\b(?:realtek|conexant|synaptics|idt|sigmatel|soundmax|cirrus|cx\d{4,5}|smartaudio|alc\d{3,4}|via hd|sst"
    r"|smart sound|hda intel|hd[- ]audio generic|sof-?hda|sof-|pch|hd audio controller|high definition audio"
    r"|family 17h|starship|matisse|smartsound|built-?in audio|internes audio|audio interno|audio interne|ingebouwde"
    r"|eingebautes?|interne? audio|cavs|maxx ?audio|nahimic|dolby|bang ?& ?olufsen audio|amd audio|aqstic)\b"
)
"""Sound chips of the computer itself: one chip with several sockets."""

COMPUTER: Final = re.compile(
    r"\b(?:macbook(?: pro| air)?|imac|mac ?mini|mac studio|mac pro|built-?in|intern(?:al|e[rs]?)?|extern(?:al|e[rs]?)?"
    r"|integrierte?[rs]?|eingebaute?[rs]?|integres?|surface (?:pro|laptop))\b"
)

VIRTUAL: Final = re.compile(
    r"\b(?:virtual|virtuell\w*|vb-audio|voicemeeter|vaio\d?|cable[- ]?[a-d]?|blackhole|soundflower|loopback|krisp|nvidia broadcast"
    r"|rtx voice|voicemod|zoomaudio\w*|microsoft teams audio|sonar|wave ?link|obs|droidcam|nomachine|remote audio"
    r"|remoteaudio|remote desktop|remotedesktop|rdp|citrix|vmware|parallels|sound mapper|soundmapper|primary sound"
    r"|primarer soundtreiber|aggregate|multi-output|null output|dummy output|easy ?effects|pulseeffects|noisetorch"
    r"|camo|ndi|ivcam|epoccam|manycam|asio4all|asiovadpro|snapcamera|background music|eqmac|boom ?3d|steam streaming)\b"
)
"""Passes sound on to some other device, which its name does not tell."""

ADAPTER: Final = re.compile(
    r"\b(?:link ?\d{3}\w?|bt ?[3-7]00\w*|btd ?\d{3}\w?|d[12]00|dongle|receiver|bluetooth adapter|bt-w\d"
    r"|usb adapter|empfanger)\b"
)
"""A USB adapter of a wireless headset: which headset it carries is not in its name."""

DOCK: Final = re.compile(r"\b(?:dock|docking|dockingstation|hub|port replicator)\b")
