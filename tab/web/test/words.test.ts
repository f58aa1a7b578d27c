// Words, numbers and times as a person of each language and region reads them.
import { html, type TemplateResult } from "lit";
import { beforeEach, describe, expect, it, vi } from "vitest";
import "../src/page-words.js";
import { ownCurrency, parseNumber, parseWhole } from "../src/numbers.js";
import { clock, currentLanguage, dateTime, day, minuteOf, number, rich, setLocale, t } from "../src/words.js";

const root = { lang: "" };

beforeEach(() => {
  vi.stubGlobal("document", { documentElement: root });
  setLocale("en-GB");
});

describe("the language", () => {
  it.each([
    ["de", "de"],
    ["de-AT", "de"],
    ["DE-ch", "de"],
    ["en-US", "en"],
    ["fr-FR", "en"],
    ["", "en"],
    ["de_DE", "de"],
    ["nonsense nonsense", "en"],
  ])("of %j is %s", (tag, language) => {
    setLocale(tag);
    expect(currentLanguage()).toBe(language);
    expect(root.lang).toBe(language);
    expect(number(1)).toBe("1");
  });
});

describe("a word", () => {
  it("has its placeholders filled", () => {
    expect(t("sign-in.by-email", { email: "anna@example.com" })).toBe("Sign in as anna@example.com");
  });

  it("shows that a value is missing, and breaks nothing", () => {
    expect(t("sign-in.by-email")).toContain("…");
  });

  it("takes no placeholder from a value", () => {
    expect(t("sign-in.by-email", { email: "{email}" })).toBe("Sign in as {email}");
  });

  it.each([
    ["en", 0, "0 people are waiting for a licence"],
    ["en", 1, "One person is waiting for a licence"],
    ["en", 2, "2 people are waiting for a licence"],
    ["en", 1234, "1,234 people are waiting for a licence"],
    ["de", 1, "Eine Person wartet auf eine Lizenz"],
    ["de", 1234, "1.234 Personen warten auf eine Lizenz"],
  ])("in %s for %i is: %s", (language, count, text) => {
    setLocale(language);
    expect(t("licences.waiting", { count })).toBe(text);
  });

  it("keeps elements as they are", () => {
    const name: TemplateResult = html`<bdi>Anna</bdi>`;
    expect(rich("licences.revoked-one", { name })).toEqual(["", name, " was signed out."]);
  });
});

describe("numbers and times", () => {
  it.each([
    ["de-DE", "5,50", 5.5],
    ["de-DE", "1.200,5", 1200.5],
    ["en-GB", "1,200.5", 1200.5],
    ["en-GB", " 9.90 ", 9.9],
    ["en-GB", "", null],
    ["en-GB", "-1", null],
    ["en-GB", "many", null],
    ["de-DE", "9.90", 9.9],
    ["de-DE", "1.200", 1200],
    ["de-DE", "1,200", 1.2],
    ["en-GB", "1,200", 1200],
    ["en-GB", "5,50", 5.5],
    ["de-DE", "1,200.50", 1200.5],
    ["en-GB", "1.200.000,5", 1200000.5],
    ["de-CH", "1\u2019200.50", 1200.5],
    ["de-AT", "1 200,50", 1200.5],
    ["de-DE", "1.20.300", null],
    ["de-DE", "1.200.3", null],
    ["de-DE", "5,5,5", null],
    ["de-DE", ",5", null],
    ["de-DE", "0x10", null],
    ["de-DE", "1e3", null],
    ["de-DE", "Infinity", null],
    ["de-DE", "12abc", null],
  ])("typed in %s: %j is %j", (locale, typed, value) => {
    setLocale(locale);
    expect(parseNumber(typed)).toBe(value);
  });

  it.each([
    ["de-DE", "12", 12],
    ["de-DE", " 8.760 ", 8760],
    ["en-GB", "8,760", 8760],
    ["de-DE", "8761", null],
    ["de-DE", "0", null],
    ["de-DE", "-5", null],
    ["de-DE", "0,5", null],
    ["de-DE", "12,0", 12],
    ["de-DE", "abc", null],
    ["de-DE", "", null],
  ])("typed as a whole number in %s: %j is %j", (locale, typed, value) => {
    setLocale(locale);
    expect(parseWhole(typed, 1, 8760)).toBe(value);
  });

  it.each([
    ["de-DE", "EUR"],
    ["de-CH", "CHF"],
    ["en-US", "USD"],
    ["en-GB", "GBP"],
    ["en", "USD"],
    ["fr-FR", "EUR"],
  ])("counts money in %s by %s", (locale, currency) => {
    setLocale(locale);
    expect(ownCurrency()).toBe(currency);
  });

  it("follows the region", () => {
    setLocale("de-DE");
    expect(number(1234.5)).toBe("1.234,5");
    expect(dateTime("2026-11-27T03:17:00Z")).toMatch(/^2\d\.11\.2026, \d\d:\d\d$/);
  });

  it.each([
    [0, "00:00"],
    [420, "07:00"],
    [1439, "23:59"],
  ])("minute %i of a day is %s, both ways", (minute, text) => {
    expect(clock(minute)).toBe(text);
    expect(minuteOf(text)).toBe(minute);
  });

  it("takes an empty time field as midnight", () => {
    expect(minuteOf("")).toBe(0);
  });

  it("counts days over the end of a month", () => {
    vi.useFakeTimers({ now: new Date(2026, 2, 1, 12) });
    expect(day(0)).toBe("2026-03-01");
    expect(day(-1)).toBe("2026-02-28");
    vi.useRealTimers();
  });
});
