// Looking again: at once, then no more often than the pause, and not while nobody sees the page.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ReactiveController } from "lit";
import { Paced } from "../src/paced.js";

const PAUSE = 3_000;
const host = {
  controllers: [] as ReactiveController[],
  addController(controller: ReactiveController) {
    this.controllers.push(controller);
  },
  removeController: () => {},
  requestUpdate: () => {},
  updateComplete: Promise.resolve(true),
};
let page: EventTarget & { visibilityState: string };
let work: ReturnType<typeof vi.fn<() => void>>;
let paced: Paced;

beforeEach(() => {
  vi.useFakeTimers();
  page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("document", page);
  work = vi.fn<() => void>();
  paced = new Paced(host, work, PAUSE);
  paced.hostConnected();
});

afterEach(() => {
  paced.hostDisconnected();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("does at once what is asked for, and once more for all that was asked meanwhile", () => {
  paced.ask();
  expect(work).toHaveBeenCalledTimes(1);
  for (let times = 0; times < 5; times += 1) paced.ask();
  vi.advanceTimersByTime(PAUSE - 1);
  expect(work).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1);
  expect(work).toHaveBeenCalledTimes(2);
  vi.advanceTimersByTime(10 * PAUSE);
  expect(work).toHaveBeenCalledTimes(2);
});

it("waits until the page is seen", () => {
  page.visibilityState = "hidden";
  paced.ask();
  vi.advanceTimersByTime(10 * PAUSE);
  expect(work).not.toHaveBeenCalled();
  page.visibilityState = "visible";
  page.dispatchEvent(new Event("visibilitychange"));
  expect(work).toHaveBeenCalledTimes(1);
});

it("does nothing after the page has gone", () => {
  paced.ask();
  paced.ask();
  paced.hostDisconnected();
  vi.advanceTimersByTime(10 * PAUSE);
  page.dispatchEvent(new Event("visibilitychange"));
  expect(work).toHaveBeenCalledTimes(1);
});
