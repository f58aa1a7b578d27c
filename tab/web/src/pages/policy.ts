// What the administrator decides about one pool: when a seat is released, which are reserved, who may have one.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, troubleOf, type PeopleFound, type PolicyState, type PoolState } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { field, fieldStyles } from "../field.js";
import { tickStyles } from "../page-styles.js";
import { person } from "../person.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

type Reservation = PolicyState["reservations"][number];
type People = Reservation["people"];

const NOBODY: People = { userIds: [], groupIds: [] };

@customElement("pbx-policy")
export class PolicyDialog extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    dialogStyles,
    tickStyles,
    css`
      form > .field {
        margin-bottom: 12px;
      }
      fieldset {
        border: 1px solid var(--colorNeutralStroke2);
        border-radius: 4px;
        margin: 12px 0;
        padding: 12px;
        min-width: 0;
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        gap: 12px;
        align-items: end;
        margin-bottom: 8px;
      }
      .people {
        max-height: 160px;
        overflow: auto;
        border: 1px solid var(--colorNeutralStroke2);
        padding: 4px 8px;
      }
      .people label {
        display: block;
        padding: 2px 0;
      }
    `,
  ];

  @property({ attribute: false }) pool!: PoolState;
  @state() private policy: PolicyState = { idleHours: null, reservations: [], admitted: null };
  @state() private people: PeopleFound = { users: [], groups: [] };
  private readonly task = new BusyController(this);
  private search = "";
  @query("pbx-dialog") private dialog!: Dialog;

  async open(pool: PoolState, opener: EventTarget | null) {
    this.pool = pool;
    this.policy = structuredClone(pool.policy);
    this.task.trouble = null;
    await this.updateComplete;
    await this.dialog.open(opener);
    await this.find("");
  }

  override render() {
    const { idleHours, reservations, admitted } = this.policy;
    const content = html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${field({
        id: "idle",
        label: t("policy.idle"),
        hint: t("policy.idle-hint"),
        value: idleHours ? String(idleHours) : "",
        onInput: (event) => {
          const hours = Number.parseInt((event.target as HTMLInputElement).value, 10);
          this.policy = { ...this.policy, idleHours: Number.isNaN(hours) || hours < 1 ? null : hours };
        },
      })}
      ${field({
        id: "people-search",
        label: t("policy.find"),
        hint: t("policy.find-hint"),
        type: "search",
        onInput: (event) => void this.find((event.target as HTMLInputElement).value),
      })}
      ${reservations.map((reservation, index) => this.renderReservation(reservation, index))}
      ${button({ label: t("policy.add"), onClick: () => this.add() })}
      <fieldset>
        <legend>${t("policy.admitted")}</legend>
        <label
          ><input
            type="checkbox"
            .checked=${admitted !== null}
            @change=${() => (this.policy = { ...this.policy, admitted: admitted === null ? NOBODY : null })}
          />
          ${t("policy.admitted-only")}</label
        >
        ${
          admitted === null || admitted === undefined
            ? nothing
            : this.renderPeople(t("policy.admitted"), admitted, (people) => {
                this.policy = { ...this.policy, admitted: people };
              })
        }
      </fieldset>`;
    return html`<pbx-dialog
      name="policy"
      .heading=${t("policy.title", { serial: this.pool?.serial ?? "" })}
      .content=${content}
      .confirm=${t(this.task.busy ? "policy.saving" : "policy.save")}
      ?busy=${this.task.busy}
      @confirmed=${this.save}
    ></pbx-dialog>`;
  }

  private renderReservation(reservation: Reservation, index: number) {
    const change = (changed: Partial<Reservation>) => {
      const reservations = this.policy.reservations.map((one, at) => (at === index ? { ...one, ...changed } : one));
      this.policy = { ...this.policy, reservations };
    };
    const text = (event: Event) => (event.target as HTMLInputElement).value;
    return html`<fieldset>
      <legend>${t("policy.reservation", { number: index + 1 })}</legend>
      <div class="row">
        ${field({
          id: `name-${index}`,
          label: t("policy.name"),
          value: reservation.name,
          maxLength: 100,
          onInput: (event) => change({ name: text(event) }),
        })}
        ${field({
          id: `seats-${index}`,
          label: t("policy.seats"),
          value: String(reservation.seats),
          onInput: (event) => change({ seats: Math.max(1, Number.parseInt(text(event), 10) || 1) }),
        })}
        ${button({
          label: t("policy.remove"),
          ariaLabel: t("policy.remove-one", { name: reservation.name }),
          onClick: () => {
            const reservations = this.policy.reservations.filter((_, at) => at !== index);
            this.policy = { ...this.policy, reservations };
          },
        })}
      </div>
      ${this.renderPeople(reservation.name, reservation.people, (people) => change({ people }))}
    </fieldset>`;
  }

  private renderPeople(label: string, chosen: People, change: (people: People) => void) {
    const toggled = (ids: number[], id: number) => (ids.includes(id) ? ids.filter((one) => one !== id) : [...ids, id]);
    const choice = (kind: "userIds" | "groupIds", id: number, name: unknown) =>
      html`<label
        ><input
          type="checkbox"
          .checked=${chosen[kind].includes(id)}
          @change=${() => change({ ...chosen, [kind]: toggled(chosen[kind], id) })}
        />
        ${name}</label
      >`;
    return html`<div class="people" role="group" aria-label=${label} tabindex="0">
      ${this.people.groups.map((one) => choice("groupIds", one.id, t("policy.group", { name: one.name })))}
      ${this.people.users.map((one) => choice("userIds", one.id, html`${person(one.name)} (${one.login})`))}
    </div>`;
  }

  private add() {
    const id = crypto.randomUUID();
    const name = t("policy.reservation", { number: this.policy.reservations.length + 1 });
    const reservations = [...this.policy.reservations, { id, name, seats: 1, people: NOBODY }];
    this.policy = { ...this.policy, reservations };
  }

  private async find(search: string) {
    this.search = search;
    try {
      const people = await api.people(search);
      if (search === this.search) this.people = people;
    } catch (error) {
      this.task.trouble = troubleOf(error);
    }
  }

  private async save() {
    const outcome = await this.task.run(() => api.setPolicy(this.pool.poolId, this.policy));
    if (outcome !== "done") return;
    this.dialog.close();
    this.dispatchEvent(new CustomEvent("saved"));
  }
}
