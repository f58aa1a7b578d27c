// Renders a person's name so that its writing direction does not affect the surrounding text.
import { html } from "lit";

export function person(name: string) {
  return html`<bdi>${name}</bdi>`;
}
