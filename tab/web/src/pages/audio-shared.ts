// Texts shared by the sections of the audio page.
import type { AudioUse } from "../api.js";
import { dateTime, t } from "../words.js";

/** Describe a use, for instance "Teams, speaker". */
export function whoOf(use: AudioUse): string {
  return `${t(`audio.program.${use.program}`)}, ${t(`audio.kind.${use.kind}`)}`;
}

export function sourceOf(use: AudioUse): string {
  if (use.assumed) return t("audio.source.assumed");
  if (use.exclusive) return t("audio.source.exclusive");
  if (use.active) return t("audio.source.now");
  return t(`audio.source.${use.source}`, { at: dateTime(use.at) });
}
