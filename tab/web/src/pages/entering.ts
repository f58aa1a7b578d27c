// What the ways into a PBX share, with its key and without: why the last try failed.
import { LitElement, type PropertyValues } from "lit";
import { property } from "lit/decorators.js";
import { BusyController } from "../busy.js";

/** The field that a refusal is about. */
const FIELD_OF: Record<string, string> = {
  "name-missing": "pbx-name",
  "pbx-name-invalid": "pbx-name",
  "key-missing": "pbx-key",
  "malformed-key": "pbx-key",
  "key-too-short": "pbx-key",
  "key-too-long": "pbx-key",
  "wrong-key": "pbx-name",
  "login-missing": "login",
  "login-rejected": "password",
};

export class Entering extends LitElement {
  /** A seat of the pool is kept for the person. */
  @property({ type: Boolean, attribute: "seat-kept" }) seatKept = false;
  protected readonly task = new BusyController(this, FIELD_OF);

  protected override willUpdate(changed: PropertyValues<this>) {
    // Clear the earlier refusal: it contradicts the new offer.
    if (changed.has("seatKept") && this.seatKept && this.task.trouble?.code === "no-licence") this.task.trouble = null;
  }
}
