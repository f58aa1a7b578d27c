// Remembers the last sign-in, so that people need not type it again: PBX name and login while this page is open; together
// with the PBX key on the device only if they ask for it. Passwords are never stored.
import type { Surroundings } from "./host.js";
import { knownKey } from "./session-key.js";

export interface LastSignIn {
  pbxName: string;
  login: string;
  /** Empty if it must be typed. */
  pbxKey: string;
  /** Whether it is also stored on the device. */
  kept: boolean;
}

const KEY = "pbx-teams.last";
let here: { who: string; pbxName: string; login: string } | null = null;

function whoOf({ tenantId, objectId }: Surroundings): string {
  return `${tenantId} ${objectId}`;
}

export function lastSignIn(surroundings: Surroundings): LastSignIn | null {
  const who = whoOf(surroundings);
  const kept = stored();
  const [name, login] = here?.who === who ? [here.pbxName, here.login] : ["", ""];
  if (kept?.who === who && (name === "" || name === kept.pbxName))
    return { pbxName: kept.pbxName, login: login || kept.login, pbxKey: kept.pbxKey, kept: true };
  return name === "" ? null : { pbxName: name, login, pbxKey: knownKey(name) ?? "", kept: false };
}

/** Remember a successful sign-in. If a framed page may not store anything, it is remembered while the page is open. */
export function rememberSignIn(surroundings: Surroundings, last: LastSignIn): void {
  const { pbxName, login, pbxKey, kept } = last;
  here = { who: whoOf(surroundings), pbxName, login };
  try {
    if (kept) localStorage.setItem(KEY, JSON.stringify({ ...here, pbxKey }));
    else localStorage.removeItem(KEY);
  } catch {
    // Then they type it again next time.
  }
}

/** Forget the sign-in: the key is no longer valid, or the person does not want it stored. */
export function forgetSignIn(): void {
  here = null;
  try {
    localStorage.removeItem(KEY);
  } catch {
    // Then nothing was stored.
  }
}

function stored(): { who: string; pbxName: string; login: string; pbxKey: string } | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "null") as Record<string, unknown> | null;
    const text = (name: string) => (typeof kept?.[name] === "string" ? kept[name] : "");
    const [who, pbxName, login, pbxKey] = [text("who"), text("pbxName"), text("login"), text("pbxKey")];
    return who && pbxName && login && pbxKey ? { who, pbxName, login, pbxKey } : null;
  } catch {
    return null;
  }
}
