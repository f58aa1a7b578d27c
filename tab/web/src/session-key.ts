// The PBX key with which somebody has signed in while this page is open: kept in memory alone, for what is sealed later.
const keys = new Map<string, string>();

export function rememberKey(pbxName: string, key: string): void {
  keys.set(pbxName, key);
}

export function forgetKeys(): void {
  keys.clear();
}

export function knownKey(pbxName: string): string | null {
  return keys.get(pbxName) ?? null;
}
