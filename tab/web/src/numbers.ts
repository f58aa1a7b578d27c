// Strict parsing of typed numbers and amounts, and formatting of money for the user's region.
import { currentLocale, number } from "./words.js";

/** Format money in the user's language: "19,80 €". */
export function money(value: number, currency: string): string {
  return new Intl.NumberFormat(currentLocale(), { style: "currency", currency }).format(value);
}

/** Return the currency of the user's region if `CURRENCIES` has it, else the euro. */
export function ownCurrency(): Currency {
  const region = new Intl.Locale(currentLocale()).maximize().region ?? "";
  return CURRENCIES.find((currency) => REGIONS[currency]?.includes(region)) ?? "EUR";
}

export const CURRENCIES = ["EUR", "CHF", "GBP", "USD"] as const;
export type Currency = (typeof CURRENCIES)[number];
const REGIONS: Partial<Record<Currency, readonly string[]>> = { CHF: ["CH", "LI"], GBP: ["GB"], USD: ["US"] };

const GROUPED = /^\d{1,3}(?:(?<mark>[.,' \u2019\u00a0\u202f])\d{3})(?:\k<mark>\d{3})*$/;

/**
 * Parse a typed non-negative number; null if it is invalid. Comma and point both mark decimals, unless the user's
 * language uses that sign as the thousands separator and three digits follow: "1.200" is 1200 in German.
 */
export function parseNumber(typed: string): number | null {
  const plain = typed.trim();
  const decimal = number(1.5)[1] ?? ".";
  const [, whole = "", sign = "", fraction = ""] = /^(.*?)(?:([.,])(\d*))?$/.exec(plain) ?? [];
  const grouped = GROUPED.exec(plain);
  if (grouped !== null && grouped.groups?.mark !== decimal) return Number(plain.replace(/\D/g, ""));
  const start = GROUPED.exec(whole);
  if (start !== null && start.groups?.mark === sign) return null;
  if (!/^\d+$/.test(whole) && start === null) return null;
  return Number(`${whole.replace(/\D/g, "")}.${fraction}`);
}

/** Parse a typed whole number within bounds; null if it is invalid. */
export function parseWhole(typed: string, least: number, most: number): number | null {
  const value = parseNumber(typed);
  return value !== null && Number.isInteger(value) && value >= least && value <= most ? value : null;
}
