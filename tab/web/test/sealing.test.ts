// Sealing: only who has the connector's key and the PBX key opens it, and nobody leads a browser to the unsealed way.
// That Python opens what the browser seals is in tests/wire/test_twins.py.
import { describe, expect, it } from "vitest";
import { utf8 } from "../src/pbxkey.js";
import {
  challengeSecret,
  isDowngrade,
  isImpostor,
  seal,
  sealContext,
  uciToken,
  type SealedBox,
} from "../src/sealing.js";

const base64url = (buffer: ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const bytes = (text: string) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
const joined = (...parts: Uint8Array[]) => new Uint8Array(parts.flatMap((part) => [...part]));

async function recipient() {
  const pair = await crypto.subtle.generateKey({ name: "ECDH", namedCurve: "P-256" }, true, ["deriveBits"]);
  return { pair, key: base64url(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

async function open(
  box: SealedBox,
  { pair, key }: Awaited<ReturnType<typeof recipient>>,
  pbxKey: string,
  context: string,
) {
  const ephemeral = bytes(box.ephemeralKey);
  const theirs = await crypto.subtle.importKey("raw", ephemeral, { name: "ECDH", namedCurve: "P-256" }, false, []);
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, pair.privateKey, 256);
  const salt = await crypto.subtle.digest("SHA-256", joined(bytes(key), ephemeral));
  const secret = joined(new Uint8Array(shared), utf8(pbxKey));
  const material = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt, info: utf8("pbx-seal.v1") };
  const aes = await crypto.subtle.deriveKey(how, material, { name: "AES-GCM", length: 256 }, false, ["decrypt"]);
  const given = { name: "AES-GCM", iv: bytes(box.nonce), additionalData: utf8(context) };
  return new TextDecoder().decode(await crypto.subtle.decrypt(given, aes, bytes(box.ciphertext)));
}

describe("what is sealed", () => {
  const context = sealContext("pbx-login.v1", "pbx.example.com", "tenant", "object", "nonce");

  it("is opened by the connector", async () => {
    const connector = await recipient();
    const box = await seal(connector.key, "KEY", "Grüße", context);
    expect(await open(box, connector, "KEY", context)).toBe("Grüße");
  });

  it("is opened with no other PBX key, context or connector", async () => {
    const connector = await recipient();
    const box = await seal(connector.key, "KEY", "secret", context);
    await expect(open(box, connector, "OTHER", context)).rejects.toThrow();
    await expect(open(box, connector, "KEY", `${context}x`)).rejects.toThrow();
    await expect(open(box, await recipient(), "KEY", context)).rejects.toThrow();
  });

  it("is never the same twice", async () => {
    const { key } = await recipient();
    const [one, other] = [await seal(key, "KEY", "secret", context), await seal(key, "KEY", "secret", context)];
    expect(one.ciphertext).not.toBe(other.ciphertext);
    expect(one.nonce).not.toBe(other.nonce);
  });
});

describe("the answers to the PBX", () => {
  it("name the login and hide the password", async () => {
    expect(await challengeSecret("1001", "nonce", "secret")).toMatch(/^1001:[0-9a-f]{128}$/);
    expect(await uciToken("1001", "secret")).toMatch(/^1001:[0-9a-f]{128}$/);
    expect(await challengeSecret("1001", "nonce", "secret")).not.toBe(await challengeSecret("1001", "other", "secret"));
  });
});

describe("a connector that is not the one", () => {
  async function identity() {
    const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
    const name = base64url(await crypto.subtle.exportKey("raw", pair.publicKey));
    const sign = async (text: string) => base64url(await crypto.subtle.sign("Ed25519", pair.privateKey, utf8(text)));
    const sealingKey = (await recipient()).key;
    const offered = {
      connectorIdentity: name,
      sealingKey,
      sealingSignature: await sign(`pbx-seal.v1 key\n${sealingKey}`),
      capabilities: ["sealed-answers"],
      capabilitiesSignature: await sign(`pbx-seal.v1 capabilities\n${sealingKey}\nsealed-answers`),
    };
    return { name, offered };
  }

  it("is not seen where there is none", async () => {
    const { name, offered } = await identity();
    expect(await isImpostor(name, offered)).toBe(false);
    expect(await isImpostor(null, offered)).toBe(false);
  });

  it("is seen by its identity, its signature or its capabilities", async () => {
    const [known, other] = [await identity(), await identity()];
    expect(await isImpostor(known.name, other.offered)).toBe(true);
    expect(await isImpostor(known.name, { ...known.offered, sealingSignature: other.offered.sealingSignature })).toBe(
      true,
    );
    expect(await isImpostor(null, { ...known.offered, capabilities: ["sealed-answers", "more"] })).toBe(true);
    expect(await isImpostor(null, { ...known.offered, capabilitiesSignature: null })).toBe(true);
  });

  it("does not lead to the unsealed way", async () => {
    const { offered } = await identity();
    const old = { ...offered, capabilities: [], method: "challenge" };
    expect(isDowngrade(false, { ...offered, method: "challenge" })).toBe(true);
    expect(isDowngrade(true, old)).toBe(true);
    expect(isDowngrade(false, old)).toBe(false);
    expect(isDowngrade(true, { ...offered, method: "sealed-challenge" })).toBe(false);
  });
});
