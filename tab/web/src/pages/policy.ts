// The rules of one pool: when seats are released, which are reserved, and who may have one.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { api, troubleOf, type PeopleFound, type PolicyState, type PoolState } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { field, fieldStyles, type Field } from "../field.js";
import { parseWhole } from "../numbers.js";
import { tickStyles } from "../page-styles.js";
import { person } from "../person.js";
import { shared } from "../styles.js";
import { confirmUndoable } from "../toasts.js";
import { t } from "../words.js";

type Reservation = PolicyState["reservations"][number];
type People = Reservation["people"];

const NOBODY: People = { userIds: [], groupIds: [] };
/** The same limit as in the service. */
const MAX_HOURS = 24 * 365;
const MAX_SEATS = 1_000_000;

@customElement("pbx-policy")
export class PolicyDialog extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    dialogStyles,
    tickStyles,
    css`
      .content > .field {
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
  /** Typed values until they are saved, by field id. */
  @state() private typed: Readonly<Record<string, string>> = {};
  /** Errors of the last attempt to save, by field id. */
  @state() private errors: Readonly<Record<string, string>> = {};
  private readonly task = new BusyController(this);
  private search = "";
  @query("pbx-dialog") private dialog!: Dialog;

  async open(pool: PoolState, opener: EventTarget | null) {
    this.pool = pool;
    this.policy = structuredClone(pool.policy);
    this.typed = { idle: String(pool.policy.idleHours ?? "") };
    for (const { id, name, seats } of pool.policy.reservations)
      this.type({ [`name-${id}`]: name, [`seats-${id}`]: String(seats) });
    this.errors = {};
    this.task.trouble = null;
    await this.updateComplete;
    await this.dialog.open(opener);
    await this.find("");
  }

  override render() {
    const { reservations, admitted } = this.policy;
    const content = html`<pbx-message .trouble=${this.task.trouble}></pbx-message>
      <p id="policy-summary">${this.summary()}</p>
      ${this.renderTyped("idle", { label: t("policy.idle"), hint: t("policy.idle-hint"), inputMode: "numeric" })}
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
      drawer
      .heading=${t("policy.title", { serial: this.pool?.serial ?? "" })}
      .content=${content}
      .confirm=${t(this.task.busy ? "policy.saving" : "policy.save")}
      ?busy=${this.task.busy}
      @confirmed=${this.save}
    ></pbx-dialog>`;
  }

  private renderTyped(id: string, more: Pick<Field, "label" | "hint" | "inputMode" | "maxLength">) {
    return field({
      id,
      value: this.typed[id] ?? "",
      error: this.errors[id] ?? "",
      onInput: (event) => this.type({ [id]: (event.target as HTMLInputElement).value }),
      onChange: () => this.check(id),
      ...more,
    });
  }

  /** What the rules mean as they are typed; empty while a value is invalid. */
  private summary(): string {
    const { policy, errors } = this.parse();
    if (Object.keys(errors).length > 0) return "";
    const reserved = policy.reservations.reduce((sum, one) => sum + one.seats, 0);
    const total = this.pool?.seatsTotal ?? 0;
    return [
      policy.idleHours === null || policy.idleHours === undefined
        ? t("policy.summary-never")
        : t("policy.summary-idle", { count: policy.idleHours }),
      t("policy.summary-reserved", { reserved, total }),
      t(policy.admitted ? "policy.summary-chosen" : "policy.summary-everybody"),
    ].join(" ");
  }

  /** Show at once what is wrong with a value that was typed. */
  private check(id: string) {
    const error = this.parse().errors[id];
    if (error !== undefined) this.errors = { ...this.errors, [id]: error };
  }

  /** Store typed values, and clear their errors. */
  private type(typed: Readonly<Record<string, string>>) {
    this.typed = { ...this.typed, ...typed };
    this.errors = Object.fromEntries(Object.entries(this.errors).filter(([id]) => !(id in typed)));
  }

  private renderReservation(reservation: Reservation, index: number) {
    const change = (changed: Partial<Reservation>) => {
      const reservations = this.policy.reservations.map((one, at) => (at === index ? { ...one, ...changed } : one));
      this.policy = { ...this.policy, reservations };
    };
    const { id } = reservation;
    const name = this.typed[`name-${id}`] ?? "";
    return html`<fieldset>
      <legend>${t("policy.reservation", { number: index + 1 })}</legend>
      <div class="row">
        ${this.renderTyped(`name-${id}`, { label: t("policy.name"), maxLength: 100 })}
        ${this.renderTyped(`seats-${id}`, { label: t("policy.seats"), inputMode: "numeric" })}
        ${button({
          label: t("policy.remove"),
          ariaLabel: t("policy.remove-one", { name }),
          onClick: () => {
            const reservations = this.policy.reservations.filter((_, at) => at !== index);
            this.policy = { ...this.policy, reservations };
          },
        })}
      </div>
      ${this.renderPeople(name, reservation.people, (people) => change({ people }))}
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
    this.type({ [`name-${id}`]: name, [`seats-${id}`]: "1" });
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

  /** Convert the typed values for the service; `errors` has what is wrong, by field id. */
  private parse(): { policy: PolicyState; errors: Record<string, string> } {
    const errors: Record<string, string> = {};
    const whole = (id: string, most: number, word: "field.whole-number" | "field.whole-number-or-none") => {
      const value = parseWhole(this.typed[id] ?? "", 1, most);
      if (value === null) errors[id] = t(word, { least: 1, most });
      return value ?? 0;
    };
    const idleHours = this.typed.idle?.trim() ? whole("idle", MAX_HOURS, "field.whole-number-or-none") : null;
    const reservations = this.policy.reservations.map((reservation) => {
      const name = (this.typed[`name-${reservation.id}`] ?? "").trim();
      if (name === "") errors[`name-${reservation.id}`] = t("field.name-missing");
      return { ...reservation, name, seats: whole(`seats-${reservation.id}`, MAX_SEATS, "field.whole-number") };
    });
    // The key may have fewer licences than a reservation may name; of several, the one that is too many is marked.
    const total = this.pool?.seatsTotal ?? 0;
    let reserved = 0;
    for (const { id, seats } of reservations) {
      reserved += seats;
      if (reserved > total) errors[`seats-${id}`] ??= t("policy.too-many", { reserved, total });
    }
    return { policy: { ...this.policy, idleHours, reservations }, errors };
  }

  private async save() {
    const { policy, errors } = this.parse();
    this.errors = errors;
    if (Object.keys(errors).length > 0) {
      await this.updateComplete;
      await this.dialog.updateComplete;
      this.dialog.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
      return;
    }
    const { poolId, policy: before } = this.pool;
    const outcome = await this.task.run(() => this.put(poolId, policy));
    if (outcome !== "done") return;
    this.dialog.close();
    confirmUndoable(t("policy.saved"), async () => {
      await this.put(poolId, before);
      return t("policy.undone");
    });
  }

  private async put(poolId: string, policy: PolicyState) {
    await api.setPolicy(poolId, policy);
    this.dispatchEvent(new CustomEvent("saved"));
  }
}
