// Shared by sign-in with and without a PBX key: the reason why the last attempt failed.
import { LitElement, type PropertyValues } from "lit";
import { property } from "lit/decorators.js";
import { BusyController } from "../busy.js";

/** Maps the code of a refusal to the field that it concerns. */
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
  /** Whether a seat is offered to the user. */
  @property({ type: Boolean, attribute: "seat-kept" }) seatKept = false;
  protected readonly task = new BusyController(this, FIELD_OF);

  protected override willUpdate(changed: PropertyValues<this>) {
    // Clear the earlier refusal: it contradicts the new offer.
    if (changed.has("seatKept") && this.seatKept && this.task.trouble?.code === "no-licence") this.task.trouble = null;
  }
}
