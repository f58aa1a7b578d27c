// For administrators: how many people have a conflict, by device; names only of those who said yes.
import { LitElement, css, html } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import { api, troubleOf, type AudioConflicts, type Trouble } from "../api.js";
import { placeholder } from "../placeholder.js";
import { shared } from "../styles.js";
import { number, t } from "../words.js";
import { sectionStyles, tableStyles } from "./audio-shared.js";

@customElement("pbx-audio-conflicts")
export class Conflicts extends LitElement {
  static override styles = [
    shared,
    sectionStyles,
    tableStyles,
    css`
      td:first-child,
      td:last-child {
        overflow-wrap: anywhere;
      }
    `,
  ];

  /** Raised whenever something about the devices may have changed. */
  @property({ type: Number }) revision = 0;
  @state() private found: AudioConflicts | null = null;
  @state() private trouble: Trouble | null = null;

  override willUpdate(changed: Map<string, unknown>) {
    if (changed.has("revision")) void this.load();
  }

  override render() {
    return html`<section class="card" aria-labelledby="conflicts">
      <h2 id="conflicts">${t("audio.conflicts")}</h2>
      ${this.found === null ? placeholder(this.trouble, () => this.load(), 60) : this.renderFound(this.found)}
    </section>`;
  }

  private renderFound(found: AudioConflicts) {
    if (found.people === 0) return html`<p>${t("audio.conflicts-nobody")}</p>`;
    const people = t("audio.conflicts-people", { people: number(found.people) });
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
                <td>${conflict.names.join(", ")}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    `;
  }

  private async load() {
    try {
      this.found = await api.conflicts();
      this.trouble = null;
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }
}
