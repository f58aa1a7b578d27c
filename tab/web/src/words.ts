// Texts for users in German and English, and formatting of numbers and times. The language follows Teams, and is
// English for all languages other than German.
import type { TemplateResult } from "lit";
import de from "./words/de.json";
import en from "./words/en.json";
import type consentEn from "./words/consent.en.json";
import type helpEn from "./words/help.en.json";
import type pagesEn from "./words/pages.en.json";
import type phoneEn from "./words/phone.en.json";
import type settingsEn from "./words/settings.en.json";

type Key =
  | keyof typeof en
  | keyof typeof pagesEn
  | keyof typeof phoneEn
  | keyof typeof consentEn
  | keyof typeof helpEn
  | keyof typeof settingsEn;
/** The entries `key.one` and `key.other` are the text `key`, which needs a `count`. */
export type Word = Key extends infer K ? (K extends `${infer Plural}.${"one" | "other"}` ? Plural : K) : never;
type Language = "de" | "en";
type Values = Readonly<Record<string, string | number>>;

const files: Record<Language, Record<string, string>> = { de, en };
let language: Language = "en";
let locale = "en-GB";

export function setLocale(tag: string): void {
  language = tag.toLowerCase().startsWith("de") ? "de" : "en";
  // Dates and numbers follow the region ("de-AT"); an unknown language tag must not break them.
  try {
    locale = Intl.DateTimeFormat.supportedLocalesOf([tag])[0] ?? language;
  } catch {
    locale = language;
  }
  document.documentElement.lang = language;
}

/** Add texts that the first view does not need. */
export function addWords(more: Record<Language, Readonly<Record<string, string>>>): void {
  Object.assign(files.de, more.de);
  Object.assign(files.en, more.en);
}

export function currentLanguage(): Language {
  return language;
}

/** Return the language with its region, for formatting dates, numbers and money. */
export function currentLocale(): string {
  return locale;
}

/** Return a text with its `{placeholders}` filled; numbers are formatted in the user's language. */
export function t(word: Word, values: Values = {}): string {
  return pattern(word, values).replace(/\{(\w+)\}/g, (_, name: string) => text(values[name] ?? "…"));
}

/** Like `t`, but values may be elements, such as names of people. */
export function rich(word: Word, values: Readonly<Record<string, string | number | TemplateResult>>): unknown[] {
  return pattern(word, values)
    .split(/\{(\w+)\}/)
    .map((part, index) => (index % 2 === 0 ? part : (values[part] ?? "…")))
    .map((part) => (typeof part === "object" ? part : text(part)));
}

function pattern(word: Word, { count }: Readonly<Record<string, unknown>>): string {
  const words = files[language];
  return words[word] ?? words[`${word}.${new Intl.PluralRules(language).select(Number(count))}`] ?? word;
}

function text(value: string | number): string {
  return typeof value === "number" ? number(value) : value;
}

export function dateTime(moment: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
}

export function time(moment: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: "short" }).format(new Date(moment));
}

const AGES: readonly [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/**
 * Return a relative time such as "2 days ago"; `dateTime` gives the exact one. Times in the future, from a clock
 * that is ahead, count as now.
 */
export function timeAgo(moment: string): string {
  const seconds = Math.max(0, (Date.now() - Date.parse(moment)) / 1000);
  const [unit, length] = AGES.find(([, length]) => seconds >= length) ?? ["second", Infinity];
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  return words.format(-Math.floor(seconds / length) || 0, unit);
}

export function date(moment: string | Date): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).format(new Date(moment));
}

/** Format a day without its year, for the axis of a chart. */
export function dayAndMonth(moment: string): string {
  return new Intl.DateTimeFormat(locale, { day: "numeric", month: "numeric" }).format(new Date(moment));
}

export function number(value: number): string {
  return new Intl.NumberFormat(locale).format(value);
}

/** Return the date that many days from today in the user's time zone, as a date field expects it ("2026-11-27"). */
export function day(from: number): string {
  const moment = new Date();
  moment.setDate(moment.getDate() + from);
  return `${moment.getFullYear()}-${twoDigits(moment.getMonth() + 1)}-${twoDigits(moment.getDate())}`;
}

/** Format a minute of the day for a time field: "07:00" for 420. */
export function clock(minute: number): string {
  return `${twoDigits(Math.floor(minute / 60))}:${twoDigits(minute % 60)}`;
}

/** Parse the value of a time field into a minute of the day; 0 if it is empty. */
export function minuteOf(typed: string): number {
  const [hours = 0, minutes = 0] = typed.split(":").map(Number);
  return hours * 60 + minutes;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
