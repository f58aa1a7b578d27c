// What the parts of the telephone's page share.
import { html, nothing } from "lit";
import type { Phone, PhoneCall } from "../api.js";
import { person } from "../person.js";
import { t } from "../words.js";

/** Somebody who is to be called. */
export interface Callee {
  number: string;
  name: string;
}

/** Asks the page to call somebody: the one place that dials. */
export function callThem(element: EventTarget, detail: Callee): void {
  element.dispatchEvent(new CustomEvent<Callee>("callee", { detail, bubbles: true, composed: true }));
}

export function tellChanged(element: EventTarget, detail: Phone): void {
  element.dispatchEvent(new CustomEvent<Phone>("phone-changed", { detail, bubbles: true, composed: true }));
}

/** Numbers are written from left to right, whatever stands around them. */
export function numberText(number: string) {
  return html`<bdi dir="ltr">${number}</bdi>`;
}

/** The other side: its name, or its number, or that it is not known. */
export function whom({ name, number }: Callee) {
  if (name !== "") return person(name);
  return number !== "" ? numberText(number) : html`${t("call.unknown")}`;
}

/** The number below a name. */
export function numberBelow({ name, number }: Callee) {
  return name !== "" && number !== "" ? html`<span class="below">${numberText(number)}</span>` : nothing;
}

export function isLive(call: PhoneCall): boolean {
  return call.state !== "ended";
}
