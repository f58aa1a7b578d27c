// Dialling: entering a number or searching for a person, and choosing the phone that rings and the number that is
// shown.
import { LitElement, css, html, nothing } from "lit";
import { customElement, property, query, state } from "lit/decorators.js";
import { ProblemError, api, type CallRequest, type Found, type PhoneLine, type Trouble } from "../api.js";
import { BusyController } from "../busy.js";
import { button } from "../button.js";
import { dialogStyles, type Dialog } from "../dialog.js";
import { choice, fieldStyles } from "../field.js";
import { sectionStyles } from "../page-styles.js";
import { person } from "../person.js";
import { shared } from "../styles.js";
import { rich, t } from "../words.js";
import { numberText, tellChanged, whom, type Callee } from "./phone-shared.js";

const SEARCH_MS = 250;
const LEAST = 2;
/** Matches text that is a number; all other text is a name. */
const DIALABLE = /^[\d\s()+*#/.-]+$/;

/** A dial request, until the line shows its call. */
interface Dialling {
  callId: string;
  number: string;
  phone: string;
}

@customElement("pbx-phone-dial")
export class Dialler extends LitElement {
  static override styles = [
    shared,
    fieldStyles,
    sectionStyles,
    dialogStyles,
    css`
      form {
        display: flex;
        flex-direction: column;
        gap: 12px;
      }
      .box {
        position: relative;
      }
      .choices {
        display: grid;
        gap: 12px;
        grid-template-columns: repeat(auto-fit, minmax(min(100%, 180px), 1fr));
      }
      ul {
        position: absolute;
        z-index: 1;
        inset-inline: 0;
        top: 100%;
        list-style: none;
        margin: 2px 0 0;
        padding: 4px;
        max-height: 320px;
        overflow-y: auto;
        color: var(--colorNeutralForeground1);
        background: var(--colorNeutralBackground1);
        border: 1px solid var(--colorNeutralStroke1);
        border-radius: var(--borderRadiusMedium, 4px);
        box-shadow: var(--shadow16);
      }
      li {
        padding: 6px 8px;
        border-radius: var(--borderRadiusMedium, 4px);
        cursor: pointer;
        overflow-wrap: anywhere;
      }
      li:hover {
        background: var(--colorNeutralBackground1Hover);
      }
      li[aria-selected="true"] {
        background: var(--colorNeutralBackground1Hover);
        outline: 2px solid var(--colorStrokeFocus2);
        outline-offset: -2px;
      }
      .below {
        display: block;
        color: var(--colorNeutralForeground2);
        font-size: 12px;
        line-height: 16px;
      }
    `,
  ];

  @property({ attribute: false }) line!: PhoneLine;
  /** A number from a link. */
  @property() number = "";
  @state() private found: Found[] = [];
  @state() private active = -1;
  @state() private searched = "";
  @state() private phoneId = "";
  @state() private shownNumberId = "";
  @state() private dialling: Dialling | null = null;
  /** Whether the line has shown the call. */
  private seen = false;
  /** Why the number has to be confirmed before it is dialled. */
  @state() private question: Trouble | null = null;
  private asked: Callee & { callId: string } = { number: "", name: "", callId: "" };
  private chosen: Callee | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly task = new BusyController(this, { "number-missing": "number", "number-unusable": "number" });
  @query("#number") private input!: HTMLInputElement;
  @query("pbx-dialog") private dialog!: Dialog;

  override disconnectedCallback() {
    clearTimeout(this.timer);
    super.disconnectedCallback();
  }

  override willUpdate(changed: Map<string, unknown>) {
    // Once the line shows the call, the line has the better information.
    const { dialling } = this;
    if (dialling !== null && changed.has("line")) {
      const call = this.line.calls.find((one) => one.callId === dialling.callId);
      if (call === undefined ? this.seen : call.state !== "dialling") this.dialling = null;
      this.seen = call !== undefined;
    }
  }

  override updated(changed: Map<string, unknown>) {
    if (!changed.has("number") || this.number === "") return;
    this.input.value = this.number;
    this.input.focus();
  }

  override render() {
    if (this.line.features.dial !== "change") {
      return html`<section class="card" aria-labelledby="dial">
        <h2 id="dial">${t("phone.dial-title")}</h2>
        <p>${t("phone.no-dial")}</p>
      </section>`;
    }
    const open = this.found.length > 0;
    return html`<section class="card" aria-labelledby="dial">
      <h2 id="dial">${t("phone.dial-title")}</h2>
      <pbx-message .trouble=${this.task.trouble}></pbx-message>
      ${this.number !== "" ? html`<p id="from-link">${rich("phone.from-link", { number: numberText(this.number) })}</p>` : nothing}
      <form novalidate @submit=${this.submit}>
        <div class="field box">
          <label for="number">${t(this.searches ? "phone.number-or-name" : "phone.number")}</label>
          <input
            id="number"
            name="number"
            type="text"
            inputmode=${this.searches ? "text" : "tel"}
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            maxlength="100"
            role=${this.searches ? "combobox" : nothing}
            aria-autocomplete=${this.searches ? "list" : nothing}
            aria-expanded=${this.searches ? String(open) : nothing}
            aria-controls=${this.searches ? "found" : nothing}
            aria-activedescendant=${this.active >= 0 ? `found-${this.active}` : nothing}
            aria-invalid=${this.task.invalid === "number" ? "true" : nothing}
            @input=${this.typed}
            @keydown=${this.pressed}
            @blur=${() => this.closeList()}
          />
          <ul id="found" role="listbox" aria-label=${t("phone.found")} ?hidden=${!open}>
            ${this.found.map((one, index) => this.renderFound(one, index))}
          </ul>
        </div>
        <p class="visually-hidden" role="status">${this.renderCount()}</p>
        ${this.renderChoices()}
        <div class="actions">
          ${button({
            label: t(this.task.busy ? "phone.dialling" : "phone.dial"),
            primary: true,
            submit: true,
            disabled: this.task.busy,
          })}
        </div>
      </form>
      <div aria-live="polite">${this.dialling !== null ? this.renderDialling(this.dialling) : nothing}</div>
      <pbx-dialog
        name="confirm"
        heading=${this.question?.title ?? ""}
        confirm=${t("phone.dial")}
        .content=${html`<p>${this.question?.detail}</p>
          <p>${this.question?.cure}</p>`}
        ?busy=${this.task.busy}
        @confirmed=${() => void this.confirm()}
      ></pbx-dialog>
    </section>`;
  }

  private get searches(): boolean {
    return this.line.features.search !== undefined;
  }

  private renderFound(one: Found, index: number) {
    return html`<li
      id="found-${index}"
      role="option"
      aria-selected=${index === this.active}
      @mousedown=${(event: Event) => event.preventDefault()}
      @click=${() => this.choose(one)}
    >
      ${whom(one)}
      <span class="below"
        >${numberText(one.number)}${one.detail ? html` · ${person(one.detail)}` : nothing} ·
        ${t(`phone.source.${one.source}`)}</span
      >
    </li>`;
  }

  private renderCount() {
    if (this.searched === "") return nothing;
    return this.found.length === 0 ? t("phone.none-found") : t("phone.count-found", { count: this.found.length });
  }

  private renderChoices() {
    const phones = this.line.phones;
    const numbers = this.line.shownNumbers ?? [];
    if (phones.length < 2 && numbers.length < 2) return nothing;
    const primary = phones.find((phone) => phone.isPrimary);
    return html`<div class="choices">
      ${
        phones.length < 2
          ? nothing
          : choice({
              id: "phone",
              label: t("phone.which-phone"),
              value: this.phoneId,
              options: [
                { value: "", label: t("phone.primary", { name: primary?.name ?? "" }) },
                ...phones
                  .filter((phone) => !phone.isPrimary)
                  .map((phone) => ({
                    value: phone.phoneId,
                    label: phone.isActive ? phone.name : t("phone.inactive", { name: phone.name }),
                  })),
              ],
              onChange: (value) => (this.phoneId = value),
            })
      }
      ${
        numbers.length < 2
          ? nothing
          : choice({
              id: "shown",
              label: t("phone.which-number"),
              value: this.shownNumberId || (numbers.find((one) => one.isChosen)?.numberId ?? ""),
              options: numbers.map((one) => ({ value: one.numberId, label: one.number })),
              onChange: (value) => (this.shownNumberId = value),
            })
      }
    </div>`;
  }

  private renderDialling({ phone, number }: Dialling) {
    const values = { phone: person(phone), number: numberText(number) };
    return html`<br /><pbx-message intent="info" text=" "
        ><p id="dialling">${rich(phone === "" ? "phone.rings" : "phone.rings-there", values)}</p></pbx-message
      >`;
  }

  focusNumber(): void {
    this.input?.focus();
  }

  /** Dial a number, after Enter, a button next to a number, or a confirmation. */
  async call(callee: Callee, isConfirmed = false, callId: string = crypto.randomUUID()): Promise<void> {
    this.closeList();
    this.scrollIntoView({ block: "nearest" }); // the button may be far below, and the result is shown here
    this.dialling = null;
    this.seen = false;
    this.asked = { number: callee.number, name: callee.name, callId };
    const outcome = await this.task.run(async () => {
      const { number } = callee;
      const choices = { phoneId: this.phoneId, shownNumberId: this.shownNumberId };
      try {
        this.dialling = await this.dial({ number, callId, isConfirmed, ...choices });
        this.input.value = "";
        this.chosen = null;
        this.number = "";
        this.dispatchEvent(new CustomEvent("number-used", { bubbles: true, composed: true }));
      } catch (error) {
        if (!(error instanceof ProblemError) || error.trouble.code !== "number-needs-confirmation") throw error;
        this.question = error.trouble;
      }
    });
    if (outcome === "done" && this.question !== null && !isConfirmed) {
      await this.updateComplete;
      await this.dialog.open(this.input);
    }
  }

  /** Send the dial request. If the answer is lost, the line shows whether it was dialled; nothing is dialled twice.
   * */
  private async dial(asked: CallRequest): Promise<Dialling> {
    try {
      return await api.dial(asked);
    } catch (error) {
      if (!(error instanceof ProblemError) || error.trouble.code !== "outcome-unknown") throw error;
      const phone = await api.phone();
      const call = phone.line?.calls.find((one) => one.callId === asked.callId);
      if (call === undefined) throw error;
      tellChanged(this, phone);
      return { callId: call.callId, number: call.number, phone: "" };
    }
  }

  private async confirm() {
    const { callId } = this.asked;
    this.dialog.close();
    this.question = null;
    await this.call(this.asked, true, callId);
  }

  private async submit(event: Event) {
    event.preventDefault();
    const typed = this.input.value.trim();
    if (typed === "") return this.task.fail(missing());
    if (this.chosen !== null && this.chosen.name === typed) return this.call(this.chosen);
    if (!DIALABLE.test(typed)) {
      const [first] = this.found;
      if (first !== undefined) return this.choose(first);
    }
    await this.call({ number: typed, name: "" });
  }

  private typed() {
    this.chosen = null;
    clearTimeout(this.timer);
    if (!this.searches) return;
    const typed = this.input.value.trim();
    if (typed.length < LEAST) return this.closeList();
    this.timer = setTimeout(() => void this.search(typed), SEARCH_MS);
  }

  /** Search while the user types. Outdated answers are dropped, and a failed search does not prevent dialling. */
  private async search(typed: string) {
    try {
      const { found } = await api.searchNumbers(typed);
      if (this.input.value.trim() !== typed || this.renderRoot.querySelector("#number:focus") === null) return;
      this.found = found;
      this.active = -1;
      this.searched = typed;
    } catch {
      this.closeList();
    }
  }

  private pressed(event: KeyboardEvent) {
    const last = this.found.length - 1;
    if (event.key === "Enter") {
      const one = this.found[this.active];
      event.preventDefault();
      if (one !== undefined) this.choose(one);
      else void this.submit(event);
    } else if (last >= 0 && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.active = this.active < 0 ? (step > 0 ? 0 : last) : (this.active + step + last + 1) % (last + 1);
      void this.updateComplete.then(() =>
        this.renderRoot.querySelector(`#found-${this.active}`)?.scrollIntoView({ block: "nearest" }),
      );
    } else if (event.key === "Escape" && last >= 0) {
      event.preventDefault();
      this.closeList();
    }
  }

  private choose(one: Found) {
    this.chosen = { number: one.number, name: one.name || one.number };
    this.input.value = this.chosen.name;
    this.closeList();
    this.input.focus();
  }

  private closeList() {
    clearTimeout(this.timer);
    this.found = [];
    this.active = -1;
    this.searched = "";
  }
}

function missing(): Trouble {
  const word = (part: "title" | "detail" | "cure") => t(`phone.number-missing.${part}`);
  return { code: "number-missing", title: word("title"), detail: word("detail"), cure: word("cure") };
}
