// Shown when all seats are taken: joining the waiting list, the position on it, and an offered seat.
import { LitElement, css, html } from "lit";
import { customElement, property } from "lit/decorators.js";
import { api, type WaitingPlace } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { shared } from "../styles.js";
import { t, time } from "../words.js";

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
  private readonly task = new BusyController(this);

  override render() {
    const { joined, offeredUntil, pbxName, position } = this.place;
    const kind = offeredUntil ? "offered" : joined ? "joined" : "offer";
    const values = {
      pbxName,
      position,
      until: offeredUntil ? time(offeredUntil) : "",
    };
    return html`<section class="card" aria-labelledby="waiting">
      <h2 id="waiting">${t(`waiting.${kind}.title`)}</h2>
      <p>${t(`waiting.${kind}.text`, values)}</p>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${button({
        label: t(joined ? "waiting.leave" : "waiting.join"),
        disabled: this.task.busy,
        onClick: () => void this.change(),
      })}
    </section>`;
  }

  private async change() {
    await this.task.run(async () => {
      const detail = await (this.place.joined ? api.leaveWaitingList() : api.joinWaitingList());
      this.dispatchEvent(new CustomEvent("signed-out", { detail, bubbles: true, composed: true }));
    });
  }
}
