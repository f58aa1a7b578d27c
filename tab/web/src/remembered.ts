// Where and as whom somebody signed in last, so that they need not type it again: name and login while this page is open;
// on the device, with the PBX key, only where they want it. Never a password.
import type { Surroundings } from "./host.js";
import { knownKey } from "./session-key.js";

export interface LastSignIn {
  pbxName: string;
  login: string;
  /** Empty: has to be typed. */
  pbxKey: string;
  /** On the device, too. */
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

/** After a sign-in that went well. Where a framed page may store nothing, it holds while the page is open. */
export function rememberSignIn(surroundings: Surroundings, last: LastSignIn): void {
  const { pbxName, login, pbxKey, kept } = last;
  here = { who: whoOf(surroundings), pbxName, login };
  try {
    if (kept) localStorage.setItem(KEY, JSON.stringify({ ...here, pbxKey }));
    else localStorage.removeItem(KEY);
  } catch {
    // They type it again.
  }
}

/** The key is no longer good, or they do not want it kept. */
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
