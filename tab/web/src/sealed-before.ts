// The PBXs whose connectors take answers sealed only, as this browser has learnt. A service that later offers the
// unsealed way for one of them is refused. It is the only thing that the tab keeps in the browser.
const KEY = "pbx-teams.sealed";
const MAX_NAMES = 50;
const here = new Set<string>();

export function isKnownToSeal(pbxName: string): boolean {
  return here.has(pbxName) || stored().includes(pbxName);
}

/** Newest last, so that the oldest falls out. Where a framed page may store nothing, it is kept while the tab is open. */
export function rememberSealing(pbxName: string) {
  here.add(pbxName);
  const kept = [...stored().filter((name) => name !== pbxName), pbxName].slice(-MAX_NAMES);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    // The key file and the connector's signed word remain.
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
