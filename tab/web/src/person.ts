// The name of a person: its direction of writing does not turn the words around it.
import { html } from "lit";

export function person(name: string) {
  return html`<bdi>${name}</bdi>`;
}
