// What the sections of the audio page share.
import { css } from "lit";
import type { AudioUse } from "../api.js";
import { dateTime, t } from "../words.js";

export const sectionStyles = css`
  .card {
    margin-bottom: 16px;
  }
`;

export const tableStyles = css`
  table {
    border-collapse: collapse;
    width: 100%;
  }
  th,
  td {
    text-align: start;
    padding: 6px 12px 6px 0;
    vertical-align: top;
  }
`;

/** Rows of a name with something small below it, and buttons. */
export const listStyles = css`
  ul {
    list-style: none;
    margin: 0;
    padding: 0;
  }
  li {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 4px 12px;
    padding: 6px 0;
    border-top: 1px solid var(--colorNeutralStroke2);
  }
  .name {
    flex: 1 1 220px;
    overflow-wrap: anywhere;
  }
  .below {
    color: var(--colorNeutralForeground2);
    font-size: 12px;
    line-height: 16px;
    display: block;
  }
`;

/** "Teams, speaker" */
export function whoOf(use: AudioUse): string {
  return `${t(`audio.program.${use.program}`)}, ${t(`audio.kind.${use.kind}`)}`;
}

export function sourceOf(use: AudioUse): string {
  if (use.assumed) return t("audio.source.assumed");
  if (use.exclusive) return t("audio.source.exclusive");
  if (use.active) return t("audio.source.now");
  return t(`audio.source.${use.source}`, { at: dateTime(use.at) });
}
