// For administrators: the number of users with a conflict, by device. Names are shown only of users who allowed it.
import { LitElement, css, html } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, type AudioConflicts } from "../api.js";
import { BusyController } from "../busy.js";
import { sectionStyles, tableStyles } from "../page-styles.js";
import { person } from "../person.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { number, t } from "../words.js";

@customElement("pbx-audio-conflicts")
export class Conflicts extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    tableStyles,
    css`
      table {
        width: 100%;
      }
      th,
      td {
        vertical-align: top;
      }
      td:first-child,
      td:last-child {
        overflow-wrap: anywhere;
      }
    `,
  ];

  /** Increased when changes may have been missed. */
  @property({ type: Number }) revision = 0;
  @state() private found: AudioConflicts | null = null;
  private readonly task = new BusyController(this);

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="conflicts">
      <h2 id="conflicts">${t("audio.conflicts")}</h2>
      ${this.found === null ? placeholder(this.task.trouble, () => this.load(), 60) : this.renderFound(this.found)}
    </section>`;
  }

  private renderFound(found: AudioConflicts) {
    if (found.people === 0) return html`<p>${t("audio.conflicts-nobody")}</p>`;
    const people = t("audio.conflicts-people", { count: found.people });
    if (found.conflicts.length === 0) return html`<p>${t("audio.conflicts-none")} ${people}</p>`;
    return html`
      <p>${people} ${t("audio.conflicts-names")}</p>
      <table aria-labelledby="conflicts">
        <thead>
          <tr>
            <th scope="col">${t("audio.column.device")}</th>
            <th scope="col">${t("audio.column.people")}</th>
            <th scope="col">${t("audio.column.names")}</th>
          </tr>
        </thead>
        <tbody>
          ${found.conflicts.map(
            (conflict) =>
              html`<tr>
                <td>${conflict.device}</td>
                <td>${number(conflict.people)}</td>
                <td>${conflict.names.map((name, index) => html`${index > 0 ? ", " : ""}${person(name)}`)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    `;
  }

  private async load() {
    await this.task.load(api.conflicts(), (found) => (this.found = found));
  }
}
