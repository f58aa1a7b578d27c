// The audio devices of this machine as the browser knows them: the list, a level, a tone.
import type { BrowserDevice } from "./api.js";

/** `unasked`: the browser names the devices only after permission. */
export type Access = "unasked" | "granted" | "denied" | "unavailable";

/** Stand-ins of Chromium for the device that has a role at this moment. */
const STAND_INS = new Set(["default", "communications"]);
const TONE_SECONDS = 1;
const LISTEN_MS = 20_000;

export async function currentAccess(): Promise<Access> {
  if (!("mediaDevices" in navigator)) return "unavailable";
  return (await navigator.mediaDevices.enumerateDevices()).some((device) => device.label !== "")
    ? "granted"
    : "unasked";
}

/** Asks for the microphone, because only then the devices have names; it is released at once. */
export async function askForAccess(): Promise<Access> {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    for (const track of stream.getTracks()) track.stop();
    return "granted";
  } catch (error) {
    // Without any microphone the names of the speakers stay hidden as well.
    return error instanceof DOMException && error.name === "NotFoundError" ? "unavailable" : "denied";
  }
}

export async function listDevices(): Promise<BrowserDevice[]> {
  const found = await navigator.mediaDevices.enumerateDevices();
  return found
    .filter((device) => device.kind !== "videoinput" && device.label !== "" && !STAND_INS.has(device.deviceId))
    .map((device) => ({
      kind: device.kind === "audioinput" ? ("input" as const) : ("output" as const),
      label: device.label.slice(0, 256),
      deviceId: device.deviceId,
      groupId: device.groupId,
    }))
    .slice(0, 100);
}

/** A short tone on one speaker. Rejects when the browser cannot choose the speaker. */
export async function playTone(deviceId: string): Promise<void> {
  const context = new AudioContext();
  try {
    if (!("setSinkId" in context)) throw new Error("no choice of speaker");
    await (context.setSinkId as (id: string) => Promise<void>)(deviceId);
    const tone = new OscillatorNode(context, { frequency: 660 });
    const volume = new GainNode(context, { gain: 0 });
    const now = context.currentTime;
    volume.gain.linearRampToValueAtTime(0.2, now + 0.05);
    volume.gain.setValueAtTime(0.2, now + TONE_SECONDS - 0.1);
    volume.gain.linearRampToValueAtTime(0, now + TONE_SECONDS);
    tone.connect(volume).connect(context.destination);
    tone.start();
    tone.stop(now + TONE_SECONDS);
    await new Promise((resolve) => (tone.onended = resolve));
  } finally {
    await context.close();
  }
}

/** Tells the level of one microphone (0 to 1) until stopped, at the latest after 20 seconds. */
export async function listen(deviceId: string, onLevel: (level: number) => void, signal: AbortSignal): Promise<void> {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { deviceId: { exact: deviceId } } });
  const context = new AudioContext();
  try {
    const analyser = new AnalyserNode(context, { fftSize: 512 });
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const loudness = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
        onLevel(Math.min(1, loudness * 4));
      }, 100);
      const end = () => (clearInterval(timer), resolve());
      setTimeout(end, LISTEN_MS);
      signal.addEventListener("abort", end, { once: true });
    });
  } finally {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  }
}
