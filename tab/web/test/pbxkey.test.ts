// The PBX key as it is typed or pasted, and key files as an editor leaves them. The vectors are those of wire/pbxkey.py.
import { describe, expect, it } from "vitest";
import vectors from "../../../tests/wire/pbxkey_vectors.json";
import { KeyFault, MAX_KEY_FILE_BYTES, hex, keyDigest, parseKey, readKeyFile, utf8 } from "../src/pbxkey.js";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

async function keyOf(body: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(`pbx-key.v1:${body}`)));
  const bits = [...digest].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return body + [0, 5, 10, 15].map((at) => ALPHABET[parseInt(bits.slice(at, at + 5), 2)]).join("");
}

const KEY = await keyOf(vectors.key);

function filled(template: string): string {
  const groups = KEY.match(/.{4}/g) ?? [];
  return template.replace(/\{(\w+)(?::([^}]*))?\}/g, (_, name: string, mark?: string) => {
    switch (name) {
      case "grouped":
        return groups.join(mark ?? "-");
      case "lower":
        return groups.join("-").toLowerCase();
      case "whole":
        return KEY;
      case "spaced":
        return groups.join(" ");
      case "first":
        return groups.slice(0, 4).join("-");
      case "rest":
        return groups.slice(4).join("-");
      case "short":
        return KEY.slice(0, -1);
      case "typo":
        return KEY.slice(0, 7) + (mark ?? "") + KEY.slice(8);
      default:
        throw new Error(name);
    }
  });
}

async function fault(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KeyFault) return error.code;
  }
  return "none";
}

describe("a key", () => {
  it.each(vectors.pasted)("is read: %s", async (_, text) => {
    expect(await parseKey(filled(text))).toBe(KEY);
  });

  it.each(vectors.wrong)("is refused: %s", async (_, text, code) => {
    expect(await fault(parseKey(filled(text)))).toBe(code);
  });

  it("has a digest that does not show it", async () => {
    expect(await keyDigest(KEY)).toBe(hex(await crypto.subtle.digest("SHA-256", utf8(KEY))));
  });
});

describe("a key file", () => {
  const content = { format: "pbx-key-file.v1", pbxName: "pbx.example.com", pbxKey: KEY, connectorIdentity: null };
  const file = (...parts: BlobPart[]) => new File(parts, "pbx.pbxkey");

  it("is read", async () => {
    expect(await readKeyFile(file(JSON.stringify(content)))).toEqual(content);
  });

  it("is read with the mark of UTF-8, and as UTF-16", async () => {
    const text = JSON.stringify(content);
    const little = new Uint8Array([0xff, 0xfe, ...[...text].flatMap((char) => [char.charCodeAt(0), 0])]);
    const big = new Uint8Array([...text].flatMap((char) => [0, char.charCodeAt(0)]));
    for (const saved of [`\ufeff${text}`, little, big]) expect(await readKeyFile(file(saved))).toEqual(content);
  });

  it.each([
    ["nothing", ""],
    ["no JSON", "hello"],
    ["another format", JSON.stringify({ ...content, format: "x" })],
    ["no name", JSON.stringify({ ...content, pbxName: "" })],
    ["a key with a typo", JSON.stringify({ ...content, pbxKey: "A".repeat(36) })],
    ["a number as identity", JSON.stringify({ ...content, connectorIdentity: 1 })],
  ])("is refused: %s", async (_, text) => {
    expect(await fault(readKeyFile(file(text)))).toBe("file-not-key");
  });

  it("is not read when it is too large", async () => {
    expect(await fault(readKeyFile(file("x".repeat(MAX_KEY_FILE_BYTES + 1))))).toBe("file-too-large");
  });
});
