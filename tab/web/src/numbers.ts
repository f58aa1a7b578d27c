// Numbers and money that a person types, strictly read, and money as their region writes it.
import { currentLocale, number } from "./words.js";

/** Money, as the person's language writes it: "19,80 €". */
export function money(value: number, currency: string): string {
  return new Intl.NumberFormat(currentLocale(), { style: "currency", currency }).format(value);
}

/** The currency of the person's region, of those that `CURRENCIES` has; the euro when the region has another. */
export function ownCurrency(): Currency {
  const region = new Intl.Locale(currentLocale()).maximize().region ?? "";
  return CURRENCIES.find((currency) => REGIONS[currency]?.includes(region)) ?? "EUR";
}

export const CURRENCIES = ["EUR", "CHF", "GBP", "USD"] as const;
export type Currency = (typeof CURRENCIES)[number];
const REGIONS: Partial<Record<Currency, readonly string[]>> = { CHF: ["CH", "LI"], GBP: ["GB"], USD: ["US"] };

const GROUPED = /^\d{1,3}(?:(?<mark>[.,' \u2019\u00a0\u202f])\d{3})(?:\k<mark>\d{3})*$/;

/**
 * What a person typed as a number that is not negative; null when it is none. Comma and point both mark decimals, except
 * where the person's language separates thousands by that sign and three digits follow: "1.200" is 1200 in German.
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

/** What a person typed as a whole number, within bounds; null when it is none. */
export function parseWhole(typed: string, least: number, most: number): number | null {
  const value = parseNumber(typed);
  return value !== null && Number.isInteger(value) && value >= least && value <= most ? value : null;
}
