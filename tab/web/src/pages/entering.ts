// What the ways into a PBX share, with its key and without: why the last try failed.
import { LitElement, type PropertyValues } from "lit";
import { property, state } from "lit/decorators.js";
import type { Trouble } from "../api.js";

export class Entering extends LitElement {
  /** A seat of the pool is kept for the person. */
  @property({ type: Boolean, attribute: "seat-kept" }) seatKept = false;
  @state() protected trouble: Trouble | null = null;

  protected override willUpdate(changed: PropertyValues<this>) {
    // The refusal of before would contradict the offer.
    if (changed.has("seatKept") && this.seatKept && this.trouble?.code === "no-licence") this.trouble = null;
  }
}
