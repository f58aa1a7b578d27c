// The PBX key that the user has signed in with while this page is open. It is kept in memory only, for sealing
// later.
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
