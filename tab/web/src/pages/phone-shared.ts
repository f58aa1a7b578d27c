// Shared by the parts of the telephone page.
import { html, nothing } from "lit";
import type { Phone, PhoneCall } from "../api.js";
import { person } from "../person.js";
import { t } from "../words.js";

/** The person or number to call. */
export interface Callee {
  number: string;
  name: string;
}

/** Ask the page, the only place that dials, to call somebody. */
export function callThem(element: EventTarget, detail: Callee): void {
  element.dispatchEvent(new CustomEvent<Callee>("callee", { detail, bubbles: true, composed: true }));
}

export function tellChanged(element: EventTarget, detail: Phone): void {
  element.dispatchEvent(new CustomEvent<Phone>("phone-changed", { detail, bubbles: true, composed: true }));
}

/** Render a number from left to right, regardless of the surrounding text. */
export function numberText(number: string) {
  return html`<bdi dir="ltr">${number}</bdi>`;
}

/** Render the other party: its name, or its number, or "unknown". */
export function whom({ name, number }: Callee) {
  if (name !== "") return person(name);
  return number !== "" ? numberText(number) : html`${t("call.unknown")}`;
}

/** Render the number to show below a name. */
export function numberBelow({ name, number }: Callee) {
  return name !== "" && number !== "" ? html`<span class="below">${numberText(number)}</span>` : nothing;
}

export function isLive(call: PhoneCall): boolean {
  return call.state !== "ended";
}
