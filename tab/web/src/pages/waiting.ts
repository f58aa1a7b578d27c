// All seats are taken: the offer to be told, the place on the waiting list, and the seat that is kept.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, troubleOf, type Trouble, type WaitingPlace } from "../api.js";
import { shared } from "../styles.js";
import { number, t, time } from "../words.js";

@customElement("pbx-waiting")
export class Waiting extends LitElement {
  static override styles = [
    shared,
    css`
      .card {
        margin-bottom: 16px;
        border-inline-start: 4px solid var(--colorCompoundBrandBackground);
      }
    `,
  ];

  @property({ attribute: false }) place!: WaitingPlace;
  @state() private trouble: Trouble | null = null;
  @state() private busy = false;

  override render() {
    const { joined, offeredUntil, pbxName, position } = this.place;
    const kind = offeredUntil ? "offered" : joined ? "joined" : "offer";
    const values = {
      pbxName,
      position: number(position),
      until: offeredUntil ? time(offeredUntil) : "",
    };
    return html`<section class="card" aria-labelledby="waiting" aria-live="polite">
      <h2 id="waiting">${t(`waiting.${kind}.title`)}</h2>
      <p>${t(`waiting.${kind}.text`, values)}</p>
      ${this.trouble ? html`<pbx-message .trouble=${this.trouble}></pbx-message>` : nothing}
      <fluent-button role="button" ?disabled=${this.busy} aria-disabled=${this.busy} @click=${this.change}>
        ${t(joined ? "waiting.leave" : "waiting.join")}
      </fluent-button>
    </section>`;
  }

  private async change() {
    this.busy = true;
    this.trouble = null;
    try {
      const state = await (this.place.joined ? api.leaveWaitingList() : api.joinWaitingList());
      this.dispatchEvent(new CustomEvent("signed-out", { detail: state, bubbles: true, composed: true }));
    } catch (error) {
      this.trouble = troubleOf(error);
    } finally {
      this.busy = false;
    }
  }
}
