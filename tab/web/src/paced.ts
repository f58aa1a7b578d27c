// Reloads content after a change: immediately, but not too often, and not while the page is hidden.
import type { ReactiveController, ReactiveControllerHost } from "lit";

export class Paced implements ReactiveController {
  private wanted = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly onVisible = () => this.do();

  constructor(
    host: ReactiveControllerHost,
    private readonly work: () => void,
    private readonly pauseMs: number,
  ) {
    host.addController(this);
  }

  hostConnected(): void {
    document.addEventListener("visibilitychange", this.onVisible);
  }

  hostDisconnected(): void {
    document.removeEventListener("visibilitychange", this.onVisible);
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  ask(): void {
    this.wanted = true;
    this.do();
  }

  private do(): void {
    if (!this.wanted || this.timer !== undefined || document.visibilityState !== "visible") return;
    this.wanted = false;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.do();
    }, this.pauseMs);
    this.work();
  }
}
