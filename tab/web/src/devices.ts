// The audio devices of this machine as the browser sees them: a list, a level meter, a test tone.
import type { BrowserDevice } from "./api.js";

/** `unasked` means that permission was not requested yet; the browser names devices only after permission. */
export type Access = "unasked" | "granted" | "denied" | "unavailable";

/** Chromium's pseudo devices, which stand for the device that currently has a role. */
const STAND_INS = new Set(["default", "communications"]);
const TONE_SECONDS = 1;
const LISTEN_MS = 20_000;

export async function currentAccess(): Promise<Access> {
  if (!("mediaDevices" in navigator)) return "unavailable";
  return (await navigator.mediaDevices.enumerateDevices()).some((device) => device.label !== "")
    ? "granted"
    : "unasked";
}

/** Request the microphone, because only then do the devices have names; it is released immediately. */
export async function askForAccess(): Promise<Access> {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    for (const track of stream.getTracks()) track.stop();
    return "granted";
  } catch (error) {
    // Without a microphone, the names of the speakers stay hidden too.
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

/** Play a short tone on one speaker. Rejects if the browser cannot select the speaker. */
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

/** Report the level of one microphone (0 to 1) until aborted, for at most 20 seconds. */
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
