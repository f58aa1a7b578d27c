// Proves the PBX user: with the PBX's own challenge, or sealed to the connector. Counterpart of wire/sealing.py and
// connector/login.py; tests check both with the same vectors.
import { hex, utf8 } from "./pbxkey.js";

export interface SealedBox {
  ephemeralKey: string;
  nonce: string;
  ciphertext: string;
}

/**
 * `LOGIN:hex(sha512(LOGIN + NONCE + hex(sha512(PASSWORD))))`. Anyone who has it can guess passwords offline, so it
 * leaves the browser sealed; unsealed only for a connector of the first version, after a warning to the user.
 */
export async function challengeSecret(login: string, nonce: string, password: string): Promise<string> {
  return `${login}:${await sha512(login + nonce + (await sha512(password)))}`;
}

/** Seal a text with ECDH P-256 with an ephemeral key, HKDF-SHA256 with the PBX key mixed in, AES-256-GCM. */
export async function seal(sealingKey: string, pbxKey: string, plaintext: string, context: string): Promise<SealedBox> {
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const recipient = fromBase64url(sealingKey);
  const [theirs, ours] = await Promise.all([
    crypto.subtle.importKey("raw", recipient, curve, false, []),
    crypto.subtle.generateKey(curve, false, ["deriveBits"]),
  ]);
  const ephemeral = new Uint8Array(await crypto.subtle.exportKey("raw", ours.publicKey));
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, ours.privateKey, 256);
  const key = await boxKey(new Uint8Array(shared), pbxKey, recipient, ephemeral, "encrypt");
  const nonce = crypto.getRandomValues(new Uint8Array(12));
  const sealed = await crypto.subtle.encrypt(
    { name: "AES-GCM", iv: nonce, additionalData: utf8(context) },
    key,
    utf8(plaintext),
  );
  return {
    ephemeralKey: toBase64url(ephemeral),
    nonce: toBase64url(nonce),
    ciphertext: toBase64url(new Uint8Array(sealed)),
  };
}

/** A key pair of this page, to which the connector seals an answer. It lives as long as the request. */
export interface AnswerKey {
  /** The public key, an uncompressed point in base64url. */
  publicKey: string;
  /** Open a box that was sealed to this key, with the same PBX key and context. Rejects if it was not. */
  open: (box: SealedBox, pbxKey: string, context: string) => Promise<string>;
}

export async function newAnswerKey(): Promise<AnswerKey> {
  const curve = { name: "ECDH", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(curve, false, ["deriveBits"]);
  const own = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const open = async (box: SealedBox, pbxKey: string, context: string) => {
    const sender = fromBase64url(box.ephemeralKey);
    const theirs = await crypto.subtle.importKey("raw", sender, curve, false, []);
    const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, pair.privateKey, 256);
    const key = await boxKey(new Uint8Array(shared), pbxKey, own, sender, "decrypt");
    const opened = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: fromBase64url(box.nonce), additionalData: utf8(context) },
      key,
      fromBase64url(box.ciphertext),
    );
    return new TextDecoder("utf-8", { fatal: true }).decode(opened);
  };
  return { publicKey: toBase64url(own), open };
}

/** HKDF-SHA256 over the shared secret and the PBX key (wire/sealing.py). */
async function boxKey(
  shared: Uint8Array,
  pbxKey: string,
  recipient: Uint8Array,
  ephemeral: Uint8Array,
  usage: "encrypt" | "decrypt",
): Promise<CryptoKey> {
  const salt = await crypto.subtle.digest("SHA-256", concat(recipient, ephemeral));
  const material = await crypto.subtle.importKey("raw", concat(shared, utf8(pbxKey)), "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt, info: utf8("pbx-seal.v1") },
    material,
    { name: "AES-GCM", length: 256 },
    false,
    [usage],
  );
}

export type Purpose =
  "pbx-login.v1" | "pbx-answer.v1" | "pbx-calls.v1" | "pbx-phone.v1" | "pbx-new-key.v1" | "pbx-key-delivery.v1";

export function sealContext(
  purpose: Purpose,
  pbxName: string,
  tenantId: string,
  objectId: string,
  nonce: string,
): string {
  return [purpose, pbxName, tenantId, objectId, nonce].join("\n");
}

/**
 * Derive a user's UCI login (`LOGIN:hex(sha512(LOGIN + "*" + hex(sha512(PASSWORD))))`) ; the password itself stays
 * in the browser.
 */
export async function uciToken(login: string, password: string): Promise<string> {
  return `${login}:${await sha512(`${login}*${await sha512(password)}`)}`;
}

/** What the service claims about the connector. It is verified wherever possible. */
export interface Offered {
  connectorIdentity: string;
  sealingKey: string;
  sealingSignature: string;
  capabilities?: string[];
  capabilitiesSignature?: string | null;
}

const SEALED_ANSWERS = "sealed-answers";

/**
 * Return whether an identity has signed the message; null if the browser does not support Ed25519. The PBX key in
 * the derivation protects sealed content in any case.
 */
async function isSigned(identity: string, signature: string, message: string): Promise<boolean | null> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", fromBase64url(identity), { name: "Ed25519" }, false, ["verify"]);
  } catch {
    return null;
  }
  try {
    return await crypto.subtle.verify({ name: "Ed25519" }, key, fromBase64url(signature), utf8(message));
  } catch {
    return false;
  }
}

/**
 * Return whether the key file names a different connector than the one that offers this sealing key, or whether
 * capabilities are claimed that the connector's identity has not signed.
 */
export async function isImpostor(known: string | null, offered: Offered): Promise<boolean> {
  const { connectorIdentity, sealingKey, sealingSignature, capabilities = [], capabilitiesSignature } = offered;
  if (capabilities.length > 0) {
    const statement = `pbx-seal.v1 capabilities\n${sealingKey}\n${[...capabilities].sort().join(",")}`;
    if ((await isSigned(connectorIdentity, capabilitiesSignature ?? "", statement)) === false) return true;
  }
  if (known === null) return false;
  return (
    known !== connectorIdentity || (await isSigned(known, sealingSignature, `pbx-seal.v1 key\n${sealingKey}`)) === false
  );
}

/**
 * Return whether the unsealed method is offered although the connector is known to accept only sealed answers: from
 * its own statement, from the key file, or because this browser has sealed for that PBX before. Then an attacker in
 * between wants the unsealed answer, and must not get it.
 */
export function isDowngrade(knownToSeal: boolean, offered: Offered & { method: string }): boolean {
  return offered.method === "challenge" && (knownToSeal || (offered.capabilities ?? []).includes(SEALED_ANSWERS));
}

function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
}

async function sha512(text: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-512", utf8(text)));
}

/** The service's answer before a UCI login is sealed. */
interface Prepared {
  pbxName: string;
  login: string;
  nonce: string;
  sealingKey: string;
  needsPassword: boolean;
}

/** Seal the UCI login for one purpose. `key` is the PBX key. */
export async function sealLogin(
  purpose: Purpose,
  prepared: Prepared,
  { tenantId, objectId }: { tenantId: string; objectId: string },
  key: string,
  password: string,
): Promise<{ nonce: string; box: SealedBox }> {
  const { login, nonce } = prepared;
  const context = sealContext(purpose, prepared.pbxName, tenantId, objectId, nonce);
  const credentials = JSON.stringify(
    prepared.needsPassword ? { login, password } : { login, uciToken: await uciToken(login, password) },
  );
  return { nonce, box: await seal(prepared.sealingKey, key, credentials, context) };
}
