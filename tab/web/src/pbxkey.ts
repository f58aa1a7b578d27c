// The PBX key as users type it, and the key file. Counterpart of wire/pbxkey.py; tests check both with the same
// vectors.
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const RANDOM_CHARS = 32;
const CHECKSUM_CHARS = 4;
const MAX_TYPED_CHARS = 1000;
const MAX_LABELS = 5;
const MISREAD: Record<string, string> = { "0": "O", "1": "I", "8": "B" };
/** A label that users copy together with the key: "PBX key: …", "Schlüssel zur Anlage: …". */
const LABEL = /(?:key|schl(?:[üÜ]|[uU]\u0308|ue)ssel(?: zur anlage)?)[ \t\u00a0]*[:= \t\r\n\u00a0]/gi;
export const MAX_KEY_FILE_BYTES = 64 * 1024;

export class KeyFault extends Error {
  constructor(readonly code: "malformed-key" | "key-too-short" | "key-too-long" | "file-too-large" | "file-not-key") {
    super(code);
  }
}

export interface KeyFile {
  pbxName: string;
  pbxKey: string;
  connectorIdentity: string | null;
  /** Whether the connector refuses unsealed answers. */
  sealedOnly?: boolean;
}

/**
 * Return the canonical key: 36 characters without hyphens. Characters that a mail program or word processor has
 * inserted between the letters or before the key are dropped. Throws a `KeyFault` before anything is sent.
 */
export async function parseKey(typed: string): Promise<string> {
  const text = [...typed].slice(0, MAX_TYPED_CHARS).join("");
  const labels = [...text.matchAll(LABEL)].slice(0, MAX_LABELS);
  let fault = new KeyFault("key-too-short");
  for (const candidate of [text, ...labels.map((label) => text.slice(label.index + label[0].length))]) {
    try {
      return await parse(candidate);
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error;
      fault = error;
    }
  }
  throw fault;
}

async function parse(text: string): Promise<string> {
  // Only ASCII letters are converted: a dotless i would become a different letter.
  const key = [...text]
    .filter((char) => /[\p{L}\p{N}]/u.test(char))
    .map((char) => (/[a-z]/.test(char) ? char.toUpperCase() : (MISREAD[char] ?? char)));
  if (key.length < RANDOM_CHARS + CHECKSUM_CHARS) throw new KeyFault("key-too-short");
  if (key.length > RANDOM_CHARS + CHECKSUM_CHARS) throw new KeyFault("key-too-long");
  const whole = key.join("");
  const isForeign = key.some((char) => !ALPHABET.includes(char));
  if (isForeign || whole.slice(RANDOM_CHARS) !== (await checksum(whole.slice(0, RANDOM_CHARS)))) {
    throw new KeyFault("malformed-key");
  }
  return whole;
}

/** Return the SHA-256 of the canonical key, the only form that the service ever sees. */
export async function keyDigest(key: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", utf8(key)));
}

export async function readKeyFile(file: File): Promise<KeyFile> {
  if (file.size > MAX_KEY_FILE_BYTES) throw new KeyFault("file-too-large");
  let content: unknown;
  try {
    content = JSON.parse(decoded(new Uint8Array(await file.arrayBuffer())));
  } catch {
    throw new KeyFault("file-not-key");
  }
  if (!isKeyFile(content)) throw new KeyFault("file-not-key");
  try {
    await parseKey(content.pbxKey);
  } catch {
    throw new KeyFault("file-not-key");
  }
  return content;
}

/**
 * Decode a file as editors save it: UTF-8 with or without a byte order mark, or the encoding that Windows calls
 * "Unicode".
 */
function decoded(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const isLittle = (first === 0xff && second === 0xfe) || (first !== 0 && second === 0);
  const isBig = (first === 0xfe && second === 0xff) || (first === 0 && second !== 0);
  const encoding = isLittle ? "utf-16le" : isBig ? "utf-16be" : "utf-8";
  return new TextDecoder(encoding, { fatal: true }).decode(bytes);
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

export function hex(buffer: ArrayBuffer): string {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function isKeyFile(value: unknown): value is KeyFile {
  if (typeof value !== "object" || value === null) return false;
  const file = value as Record<string, unknown>;
  return (
    file["format"] === "pbx-key-file.v1" &&
    typeof file["pbxName"] === "string" &&
    file["pbxName"].length > 0 &&
    typeof file["pbxKey"] === "string" &&
    (file["connectorIdentity"] == null || typeof file["connectorIdentity"] === "string")
  );
}

async function checksum(body: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(`pbx-key.v1:${body}`)));
  // Four base32 characters are the first 20 bits.
  const bits = ((bytes[0] ?? 0) << 12) | ((bytes[1] ?? 0) << 4) | ((bytes[2] ?? 0) >> 4);
  return [15, 10, 5, 0].map((shift) => ALPHABET[(bits >> shift) & 31]).join("");
}
