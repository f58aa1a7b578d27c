// What the service cannot know about the first steps, kept on the device: that the list was closed, and that the key
// file was handed out.
const KEY = "pbx-teams.setup";
/** What is noted while the device may not store anything. */
const here = new Set<string>();

type Note = "closed" | "key-file";

export function isNoted(what: Note, pbxName: string): boolean {
  return here.has(`${what} ${pbxName}`) || stored().includes(`${what} ${pbxName}`);
}

export function note(what: Note, pbxName: string): void {
  here.add(`${what} ${pbxName}`);
  try {
    localStorage.setItem(KEY, JSON.stringify([...new Set([...stored(), ...here])]));
  } catch {
    // Then it is asked again when the page is opened the next time.
  }
}

function stored(): string[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}
