// One piece of work at a time: whether it is under way, and what went wrong. Every page that asks the service has one.
import type { ReactiveController, ReactiveControllerHost } from "lit";
import { troubleOf, type Trouble } from "./api.js";
import { keepFocus } from "./focus.js";

type Host = ReactiveControllerHost & { readonly renderRoot: ParentNode };

/** `ignored`: other work was under way, nothing was begun. */
export type Outcome = "done" | "failed" | "ignored";

export class BusyController implements ReactiveController {
  private working = false;
  private problem: Trouble | null = null;

  /** `fields`: the id of the field that a trouble is about, by the trouble's code. */
  constructor(
    private readonly host: Host,
    private readonly fields: Readonly<Record<string, string>> = {},
  ) {
    host.addController(this);
    keepFocus(host);
  }

  hostConnected(): void {}

  get busy(): boolean {
    return this.working;
  }

  get trouble(): Trouble | null {
    return this.problem;
  }

  set trouble(trouble: Trouble | null) {
    this.problem = trouble;
    this.host.requestUpdate();
  }

  /** Id of the field that the trouble is about; empty: of none. */
  get invalid(): string {
    return this.fields[this.problem?.code ?? ""] ?? "";
  }

  /** Shows a trouble, and puts the cursor into the field that it is about. */
  fail(trouble: Trouble): void {
    this.trouble = trouble;
    if (this.invalid !== "") this.host.renderRoot.querySelector<HTMLElement>(`#${this.invalid}`)?.focus();
  }

  /** Does what a person has asked for. The trouble of the last time goes first; a second press begins nothing. */
  async run(work: () => Promise<unknown>): Promise<Outcome> {
    if (this.working) return "ignored";
    this.working = true;
    this.trouble = null;
    try {
      await work();
      return "done";
    } catch (error) {
      this.fail(troubleOf(error));
      return "failed";
    } finally {
      this.working = false;
      this.host.requestUpdate();
    }
  }

  /** Fetches what the page shows. What is shown stays until the new is there; so does the trouble of the last time. */
  async load<T>(asked: Promise<T>, take: (answer: T) => void): Promise<void> {
    try {
      take(await asked);
      this.trouble = null;
    } catch (error) {
      this.fail(troubleOf(error));
    }
  }
}
