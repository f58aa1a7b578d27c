// The PBX key as people type it, and the key file: the twin of wire/pbxkey.py, held to the same vectors by the tests.
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const RANDOM_CHARS = 32;
const CHECKSUM_CHARS = 4;
const MISREAD: Record<string, string> = { "0": "O", "1": "I", "8": "B" };
export const MAX_KEY_FILE_BYTES = 64 * 1024;

export class KeyFault extends Error {
  constructor(readonly code: "malformed-key" | "file-too-large" | "file-not-key") {
    super(code);
  }
}

export interface KeyFile {
  pbxName: string;
  pbxKey: string;
  connectorIdentity: string | null;
}

/** The canonical key: 36 characters without hyphens. Throws `malformed-key` before anything is sent. */
export async function parseKey(typed: string): Promise<string> {
  const key = [...typed.toUpperCase()]
    .filter((char) => !/[\s-]/.test(char))
    .map((char) => MISREAD[char] ?? char)
    .join("");
  const body = key.slice(0, RANDOM_CHARS);
  const fits = key.length === RANDOM_CHARS + CHECKSUM_CHARS && [...key].every((char) => ALPHABET.includes(char));
  if (!fits || key.slice(RANDOM_CHARS) !== (await checksum(body))) throw new KeyFault("malformed-key");
  return key;
}

/** SHA-256 of the canonical key: all that the service ever sees of it. */
export async function keyDigest(key: string): Promise<string> {
  return hex(await crypto.subtle.digest("SHA-256", utf8(key)));
}

export async function readKeyFile(file: File): Promise<KeyFile> {
  if (file.size > MAX_KEY_FILE_BYTES) throw new KeyFault("file-too-large");
  let content: unknown;
  try {
    content = JSON.parse(await file.text());
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
