// The app: selects the visible page, keeps the user's state, and receives live updates.
import { LitElement, css, html, nothing } from "lit";
import { customElement, state } from "lit/decorators.js";
import {
  api,
  troubleOf,
  type AudioState,
  type HoldersChange,
  type MyState,
  type Phone,
  type SessionEnd,
  type Trouble,
} from "./api.js";
import { beginAddress, firstAddress, followHistory, showAddress } from "./address.js";
import { button } from "./button.js";
import type { NavigationEntry } from "./frame/navigation.js";
import type { FrameIcon } from "./icons.js";
import { closeDialog, enterTeams, type Surroundings } from "./host.js";
import { watch, type Change } from "./live.js";
import { isNoted } from "./pages/checklist-notes.js";
import { hasPhone } from "./pages/situation.js";
import { Part, isOutdated } from "./part.js";
import { person } from "./person.js";
import { placeholder } from "./placeholder.js";
import { shared } from "./styles.js";
import { applyTheme } from "./theme.js";
import { dateTime, rich, setLocale, t, time, type Word } from "./words.js";

const PAGES = ["phone", "state", "audio", "licences", "security", "connection", "audit", "settings"] as const;
const FOR_ADMINISTRATORS: readonly string[] = ["licences", "security", "connection", "audit"];
type Page = (typeof PAGES)[number];
/** Large pages are loaded on demand, to keep the first view small. */
const FETCH: Record<Exclude<Page, "state">, () => Promise<unknown>> = {
  phone: () => import("./pages/phone.js"),
  audio: () => import("./pages/audio.js"),
  licences: () => import("./pages/licences.js"),
  security: () => import("./pages/security.js"),
  connection: () => import("./pages/connection.js"),
  audit: () => import("./pages/audit.js"),
  settings: () => import("./pages/settings.js"),
};
const ICONS: Record<Exclude<Page, "settings">, FrameIcon> = {
  phone: "phone",
  state: "overview",
  audio: "audio",
  licences: "licences",
  security: "security",
  connection: "connection",
  audit: "audit",
};

const FIRST_STATE_MS = 3_000;

@customElement("pbx-app")
export class App extends LitElement {
  static override styles = [
    shared,
    css`
      main {
        max-width: 1100px;
        margin: 0 auto;
        padding: 16px;
      }
    `,
  ];

  @state() private surroundings: Surroundings | null = null;
  @state() private outside = false;
  @state() private state: MyState | null = null;
  @state() private trouble: Trouble | null = null;
  /** Null if no page was chosen; the first page is then visible. */
  @state() private page: Page | null = null;
  @state() private live = true;
  /** Time of the last update, while live updates are interrupted. */
  @state() private liveUntil = "";
  /** Whether the service has been updated since this page was loaded. */
  @state() private outdated = false;
  @state() private notEntered = false;
  /** Whether the user is signing in at another PBX while the current session continues. */
  @state() private elsewhere = false;
  private readonly parts = {
    phone: new Part(this, FETCH.phone),
    audio: new Part(this, FETCH.audio),
    licences: new Part(this, FETCH.licences),
    security: new Part(this, FETCH.security),
    connection: new Part(this, FETCH.connection),
    audit: new Part(this, FETCH.audit),
    settings: new Part(this, FETCH.settings),
  };
  private readonly checklist = new Part(this, () => import("./pages/checklist.js"));
  /** Increased when changes may have been missed. */
  @state() private revision = 1;
  @state() private connectionRevision = 1;
  @state() private holders: HoldersChange | null = null;
  /** How many people wait for a licence, as far as an administrator's page has heard. */
  @state() private waiting = 0;
  @state() private audio: AudioState | null = null;
  @state() private phone: Phone | null = null;
  /** Calls that were missed since the page Phone was last visible. */
  @state() private missed: readonly string[] = [];
  /** A number from a link; it is filled in, and the user has to dial it. */
  @state() private number = "";
  private readonly inDialog = new URLSearchParams(location.search).has("dialog");
  private dialogEnded = false;
  private readonly leaving = new AbortController();

  override connectedCallback() {
    super.connectedCallback();
    void this.start();
  }

  override disconnectedCallback() {
    this.leaving.abort();
    super.disconnectedCallback();
  }

  override willUpdate() {
    const sees = document.visibilityState === "visible" && this.state !== null;
    if (sees && this.missed.length > 0 && this.shownOf(pagesOf(this.state!)) === "phone") this.missed = [];
  }

  /** Move the focus when the focused element has disappeared with its page, after an answer or a live update. */
  override updated(changed: Map<string, unknown>) {
    if (changed.get("elsewhere") !== undefined && this.state?.signedIn) {
      void this.focusHeading(this.elsewhere ? "pbx-sign-in" : "#page > *");
    }
    if (changed.get("page") !== undefined && document.hasFocus()) void this.keepFocusOnPage();
    const before = changed.get("state") as MyState | null | undefined;
    if (!before || !this.state || before.signedIn === this.state.signedIn) return;
    if (this.state.signedIn) this.endDialog();
    if (document.hasFocus()) void this.focusHeading(this.state.signedIn ? "#page > *" : "pbx-offers, pbx-sign-in");
  }

  override render() {
    return html`<div
      @signed-in=${this.signedIn}
      @signed-out=${this.signedOut}
      @not-entered=${() => (this.notEntered = true)}
      @elsewhere=${() => (this.elsewhere = true)}
      @show-page=${(event: CustomEvent<Page>) => this.go(event.detail)}
      @focus-heading=${() => void this.focusHeading("#page > *")}
      @number-used=${() => (this.number = "")}
      @waiting-count=${(event: CustomEvent<number>) => (this.waiting = event.detail)}
    >
      ${this.inDialog ? nothing : html`<pbx-header .state=${this.state}></pbx-header>`}
      <main>
        ${this.renderPage()}
        <pbx-toasts></pbx-toasts>
      </main>
    </div>`;
  }

  private renderPage() {
    if (this.outside) {
      return html`<h1>${t("app.outside-title")}</h1>
        <p>${t("app.outside-text")}</p>
        <p><a href="https://teams.microsoft.com/">${t("app.outside-link")}</a></p>`;
    }
    if (this.surroundings === null || this.state === null) {
      return html`<h1 class="visually-hidden">${t("app.title")}</h1>
        ${placeholder(this.surroundings === null ? null : this.trouble, () => this.load(), 320)}`;
    }
    return html`
      ${
        this.live
          ? nothing
          : html`<pbx-message
              id="not-live"
              intent="warning"
              text=${t("live.lost", { at: time(this.liveUntil) })}
            ></pbx-message>`
      }
      ${this.outdated ? this.renderOutdated() : nothing}
      ${this.state.signedIn ? this.renderSignedIn(this.state) : this.renderSignedOut(this.state, this.surroundings)}
    `;
  }

  private renderOutdated() {
    return html`<pbx-message id="outdated" intent="info" text=${t("app.outdated")}>
      ${button({ label: t("app.reload"), small: true, onClick: () => location.reload() })}
    </pbx-message>`;
  }

  private renderSignedOut(state: MyState, surroundings: Surroundings) {
    const end = state.sessionEnd;
    const seatKept = Boolean(state.waiting?.offeredUntil);
    return html`
      ${
        this.page === null || this.page === "state"
          ? nothing
          : html`<pbx-message
              id="wanted-page"
              intent="info"
              text=${t("nav.needs-sign-in", { page: t(`nav.${this.page}`) })}
            ></pbx-message>`
      }
      ${end ? html`<pbx-message id="session-end" intent="warning" .trouble=${endOf(end)}></pbx-message>` : nothing}
      ${state.waiting ? html`<pbx-waiting .place=${state.waiting}></pbx-waiting>` : nothing}
      ${
        state.offers.length > 0
          ? html`<pbx-offers .offers=${state.offers} ?seat-kept=${seatKept}></pbx-offers>`
          : nothing
      }
      ${
        this.isEntering(state)
          ? nothing
          : html`<pbx-sign-in
              ?second=${state.offers.length > 0}
              ?seat-kept=${seatKept}
              .surroundings=${surroundings}
              name=${state.teamsName}
            ></pbx-sign-in>`
      }
    `;
  }

  /** Whether automatic sign-in at the main PBX is in progress; the form appears only if it fails. */
  private isEntering(state: MyState): boolean {
    return !this.notEntered && state.offers.some((offer) => offer.automatic);
  }

  private renderElsewhere(surroundings: Surroundings) {
    return html`<p>${button({ label: t("offers.back"), onClick: () => (this.elsewhere = false) })}</p>
      <pbx-sign-in elsewhere .surroundings=${surroundings}></pbx-sign-in>`;
  }

  private renderSignedIn(state: MyState) {
    if (this.elsewhere && this.surroundings !== null) return this.renderElsewhere(this.surroundings);
    const pages = pagesOf(state);
    const page = this.shownOf(pages);
    if (page !== "state") void this.parts[page].load();
    return html`
      <pbx-navigation current=${page} .entries=${this.entriesOf(pages, state)}></pbx-navigation>
      ${page === this.page || this.page === null ? nothing : renderNotShown(this.page)}
      ${state.audio && page !== "audio" && page !== "state" ? this.renderAudioWarning(state.audio) : nothing}
      ${page !== "phone" && hasPhone(state) ? this.renderCall() : nothing}
      <div id="page">${this.renderPageOf(page, state)}</div>
    `;
  }

  private entriesOf(pages: readonly Page[], state: MyState): NavigationEntry[] {
    const badges: Partial<Record<Page, string>> = {
      phone: this.missed.length > 0 ? t("nav.missed", { count: this.missed.length }) : "",
      licences: this.waiting > 0 ? t("nav.waiting", { count: this.waiting }) : "",
      connection: state.connection?.connected === false ? t("state.not-connected") : "",
    };
    return pages.flatMap((page) =>
      page === "settings" ? [] : [{ page, label: t(`nav.${page}`), icon: ICONS[page], badge: badges[page] ?? "" }],
    );
  }

  private renderAudioWarning(verdict: "conflict" | "likely") {
    const words = t(verdict === "conflict" ? "audio.warning-conflict" : "audio.warning-likely");
    return html`<pbx-message intent="warning" text=${words}>
      ${button({ label: t("audio.warning-show"), small: true, onClick: () => this.go("audio") })}
    </pbx-message>`;
  }

  /** Show incoming and current calls on every page. */
  private renderCall() {
    const calls = this.phone?.line?.calls ?? [];
    const call =
      calls.find(({ state }) => state === "ringing") ??
      calls.find(({ state }) => state === "connected" || state === "held");
    if (call === undefined) return nothing;
    // Isolate the name like <bdi>, so that its writing direction does not affect the surrounding text.
    const who = `\u2068${call.name || call.number || t("call.unknown")}\u2069`;
    return html`<pbx-message intent="info" text=${t(call.state === "ringing" ? "call.ringing" : "call.live", { who })}>
      ${button({ label: t("call.show"), small: true, onClick: () => this.go("phone") })}
    </pbx-message>`;
  }

  private renderPageOf(page: Page, state: MyState) {
    if (page !== "state" && !this.parts[page].ready) {
      return html`<h1>${t(`nav.${page}`)}</h1>
        ${this.parts[page].placeholder(640)}`;
    }
    switch (page) {
      case "phone":
        return html`<pbx-phone
          .revision=${this.revision}
          .connection=${this.connectionRevision}
          .news=${this.phone}
          .number=${this.number}
          .pbxName=${state.connection?.pbxName ?? ""}
          .surroundings=${this.surroundings}
        ></pbx-phone>`;
      case "audio":
        return html`<pbx-audio
          .revision=${this.revision}
          .news=${this.audio}
          .surroundings=${this.surroundings}
          ?administrator=${state.person?.isAdministrator ?? false}
        ></pbx-audio>`;
      case "licences":
        return html`<pbx-licences .revision=${this.revision} .news=${this.holders}></pbx-licences>`;
      case "security":
        return html`<pbx-security .revision=${this.revision} .news=${this.holders}></pbx-security>`;
      case "connection":
        return html`<pbx-connection .revision=${this.connectionRevision}></pbx-connection>`;
      case "audit":
        return html`<pbx-audit .revision=${this.revision}></pbx-audit>`;
      case "settings":
        return html`<pbx-settings
          ?administrator=${state.person?.isAdministrator ?? false}
          .surroundings=${this.surroundings}
        ></pbx-settings>`;
      case "state":
        return html`<pbx-my-state .state=${state} ?waits=${mayHaveChecklist(state)}
          >${this.renderChecklist(state)}</pbx-my-state
        >`;
    }
  }

  private renderChecklist({ person, connection }: MyState) {
    if (!person?.isAdministrator || !connection) return nothing;
    void this.checklist.load();
    if (!this.checklist.ready) return nothing;
    return html`<pbx-checklist .pbxName=${connection.pbxName} .revision=${this.connectionRevision}></pbx-checklist>`;
  }

  private async start() {
    setLocale(navigator.language);
    applyTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "default");
    try {
      this.surroundings = await enterTeams();
    } catch {
      this.outside = true;
      return;
    }
    const linked = this.surroundings.page;
    this.number = linkedNumber(linked);
    const first = this.number !== "" ? { page: "phone" as const, query: "" } : firstAddress(PAGES, linked);
    if (first !== null) beginAddress(first, linked);
    this.page = first?.page ?? null;
    const moved = (name: string) => {
      this.page = PAGES.find((page) => page === name) ?? null;
      // A link in the menu or on a page leads back from the sign-in at another PBX.
      this.elsewhere = false;
    };
    followHistory(linked, moved, this.leaving.signal);
    document.title = t("app.title");
    // The first state arrives with the live updates. If a proxy delays them, request the state separately.
    const held = setTimeout(() => void this.loadFirst(), FIRST_STATE_MS);
    this.leaving.signal.addEventListener("abort", () => clearTimeout(held), { once: true });
    void watch(
      {
        onChange: (change) => this.take(change),
        onMissed: () => {
          if (this.state === null) return; // Nothing is shown that could be old.
          this.revision += 1;
          this.connectionRevision += 1;
        },
        onLive: (live) => this.setLive(live),
      },
      this.leaving.signal,
    );
  }

  private setLive(live: boolean) {
    if (!live) void this.loadFirst();
    if (this.live && !live) this.liveUntil = new Date().toISOString();
    // Live updates are often interrupted by an update of the service.
    if (!this.live && live) void isOutdated().then((outdated) => (this.outdated = outdated));
    this.live = live;
  }

  /** Apply a change to the current state. */
  private take({ name, content }: Change) {
    const state = this.state;
    switch (name) {
      case "state":
        this.state = content;
        this.trouble = null;
        // Without a session or licence, calls are no longer shown.
        if (!hasPhone(content)) {
          this.phone = null;
          this.missed = [];
        }
        if (!content.person?.isAdministrator) this.waiting = 0;
        break;
      case "seats":
        if (state?.licence) this.state = { ...state, licence: { ...state.licence, ...content } };
        break;
      case "connection":
        if (state?.connection) this.state = { ...state, connection: content };
        this.connectionRevision += 1;
        break;
      case "waiting":
        if (state?.waiting) this.state = { ...state, waiting: content };
        break;
      case "audio": {
        const { verdict } = content.finding;
        const warns = verdict === "conflict" || verdict === "likely";
        if (state?.signedIn) this.state = { ...state, audio: warns ? verdict : null };
        this.audio = content;
        break;
      }
      case "phone":
        this.noteMissed(content);
        this.phone = content;
        break;
      case "holders":
        this.holders = content;
        this.waiting = content.waiting;
        break;
      case "claims":
        this.connectionRevision += 1;
    }
  }

  /** Remember missed calls until the page Phone is visible. */
  private noteMissed(phone: Phone) {
    const ended = phone.line?.calls.filter(({ end }) => end === "missed").map(({ callId }) => callId) ?? [];
    this.missed = [...new Set([...this.missed, ...ended])];
  }

  private async loadFirst() {
    if (this.state === null && this.trouble === null) await this.load();
  }

  private async load() {
    try {
      this.state = await api.state();
      this.trouble = null;
    } catch (error) {
      this.trouble = troubleOf(error);
    }
  }

  private shownOf(pages: readonly Page[]): Page {
    return pages.find((page) => page === this.page) ?? pages[0] ?? "state";
  }

  private go(page: Page) {
    this.page = page;
    showAddress(page, this.surroundings?.page);
  }

  private signedIn(event: CustomEvent<MyState>) {
    this.state = event.detail;
    this.elsewhere = false;
    void this.focusHeading("#page > *");
    this.endDialog();
  }

  /** Close the bot's dialog after sign-in, no matter whether the answer or the stream reports it first. */
  private endDialog() {
    if (!this.inDialog || this.dialogEnded) return;
    this.dialogEnded = true;
    closeDialog({ signedIn: true });
  }

  private signedOut(event: CustomEvent<MyState>) {
    this.state = event.detail;
    this.phone = null;
    this.missed = [];
    this.waiting = 0;
  }

  /** The link that led to another page may be gone with the page before, or with the menu. */
  private async keepFocusOnPage() {
    await this.updateComplete;
    const { activeElement } = document;
    if (activeElement === document.body || (activeElement === this && this.shadowRoot?.activeElement === null)) {
      await this.focusHeading("#page > *");
    }
  }

  /** Focus the heading of the new page instead of the start of the document. */
  private async focusHeading(page: string) {
    await this.updateComplete;
    await Promise.all(Object.values(this.parts).map((part) => part.arrived));
    await this.updateComplete;
    const shown = this.renderRoot.querySelector<LitElement>(page);
    await shown?.updateComplete;
    const heading = shown?.renderRoot?.querySelector<HTMLElement>("h1");
    if (!heading) return;
    heading.tabIndex = -1;
    heading.focus();
  }
}

/** Say why a page that a link names is not shown. */
function renderNotShown(wanted: Page) {
  const word = FOR_ADMINISTRATORS.includes(wanted) ? "nav.needs-rights" : "nav.needs-telephone";
  return html`<pbx-message id="no-rights" intent="info" text=${t(word, { page: t(`nav.${wanted}`) })}></pbx-message>`;
}

/** Return the number of a link that offers a call: `/tab/dial?n=…`, or a Teams deep link to the page `dial:…`. */
function linkedNumber(page: string | undefined): string {
  if (page?.startsWith("dial:")) return page.slice("dial:".length);
  return location.pathname.endsWith("/dial") ? (new URLSearchParams(location.search).get("n") ?? "") : "";
}

/** Return whether the overview may have the list of first steps: an administrator has not closed it. */
function mayHaveChecklist({ person, connection }: MyState): boolean {
  return person?.isAdministrator === true && connection !== null && !isNoted("closed", connection.pbxName);
}

/** Return the pages that are available to the user. */
function pagesOf(state: MyState): readonly Page[] {
  const administrator = state.person?.isAdministrator ?? false;
  return PAGES.filter(
    (page) => (administrator || !FOR_ADMINISTRATORS.includes(page)) && (page !== "phone" || hasPhone(state)),
  );
}

function endOf(end: SessionEnd): Trouble {
  const values = { by: person(end.endedBy ?? ""), pbxName: end.pbxName, at: dateTime(end.at) };
  return {
    code: end.cause,
    title: t(`end.${end.cause}.title` as Word),
    detail: rich(`end.${end.cause}.detail` as Word, values),
    cure: end.reason ? t("end.reason", { reason: end.reason }) : "",
  };
}
