// Words for people: de and en. The language is the one of Teams; English for all others.
import de from "./words/de.json";
import en from "./words/en.json";

export type Word = keyof typeof en;
type Language = "de" | "en";

const files: Record<Language, Record<Word, string>> = { de, en };
let language: Language = "en";
let locale = "en-GB";

export function setLocale(tag: string): void {
  language = tag.toLowerCase().startsWith("de") ? "de" : "en";
  // Dates and numbers keep the region ("de-AT"); an unknown tag must not break them.
  locale = Intl.DateTimeFormat.supportedLocalesOf([tag])[0] ?? language;
  document.documentElement.lang = language;
}

export function currentLanguage(): Language {
  return language;
}

export function t(word: Word, values: Record<string, string | number> = {}): string {
  return files[language][word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? "…"));
}

export function dateTime(moment: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
}

export function time(moment: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(moment));
}

/** What a person typed as a number, with the decimal sign of their language; null when it is none. */
export function parseNumber(text: string): number | null {
  const decimal = number(1.5)[1] ?? ".";
  const plain = text
    .trim()
    .replaceAll(decimal === "," ? "." : ",", "")
    .replace(decimal, ".");
  return plain === "" || Number.isNaN(Number(plain)) || Number(plain) < 0 ? null : Number(plain);
}

export function date(moment: string | Date): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(moment));
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale).format(value);
}
