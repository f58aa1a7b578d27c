// Live updates: server-sent events over fetch, because an EventSource can carry no token in its header.
import { createParser } from "eventsource-parser";
import { request, type MyState } from "./api.js";

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 30_000;

export interface Watcher {
  onState(state: MyState): void;
  onLicences(): void;
  onAudio(): void;
  /** Whether updates arrive at this moment. */
  onLive(live: boolean): void;
}

/** Watches until aborted; comes back by itself, with longer pauses each time. */
export async function watch(watcher: Watcher, signal: AbortSignal): Promise<void> {
  let pause = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const response = await request("GET", "events", undefined, signal);
      watcher.onLive(true);
      pause = FIRST_RETRY_MS;
      await read(response, watcher);
      // Ended by the service, because the token's time is over or it stops: again after a moment, without a word.
      await wait(pause * Math.random(), signal);
      continue;
    } catch {
      if (signal.aborted) return;
    }
    watcher.onLive(false);
    await wait(pause * (0.5 + Math.random() / 2), signal);
    pause = Math.min(pause * 2, LONGEST_RETRY_MS);
  }
}

async function read(response: Response, watcher: Watcher): Promise<void> {
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event === "state") watcher.onState(JSON.parse(data) as MyState);
      else if (event === "licences") watcher.onLicences();
      else if (event === "audio") watcher.onAudio();
    },
  });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) parser.feed(part.value);
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
