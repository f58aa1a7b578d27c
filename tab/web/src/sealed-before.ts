// The PBXs whose connectors are known to this browser to accept only sealed answers. If a service later offers the
// unsealed method for one of them, the tab refuses. The tab stores nothing else in the
// browser, unless a person asks to be remembered (remembered.ts).
const KEY = "pbx-teams.sealed";
const MAX_NAMES = 50;
const here = new Set<string>();

export function isKnownToSeal(pbxName: string): boolean {
  return here.has(pbxName) || stored().includes(pbxName);
}

/**
 * Remember a PBX. The newest is last, so that the oldest is dropped. If storage is blocked, it is kept in memory
 * while the tab is open.
 */
export function rememberSealing(pbxName: string) {
  here.add(pbxName);
  const kept = [...stored().filter((name) => name !== pbxName), pbxName].slice(-MAX_NAMES);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // The key file and the connector's signed statement still protect the user.
  }
}

function stored(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((name): name is string => typeof name === "string") : [];
  } catch {
    return [];
  }
}
