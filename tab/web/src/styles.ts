// Styles shared by all pages.
import { css } from "lit";

export const shared = css`
  :host {
    display: block;
  }
  /* Even what is given another display. */
  [hidden] {
    display: none !important;
  }
  h1 {
    font-size: 20px;
    line-height: 28px;
    font-weight: 600;
    margin: 0 0 12px;
  }
  h2 {
    font-size: 16px;
    line-height: 22px;
    font-weight: 600;
    margin: 0 0 8px;
  }
  p {
    margin: 0 0 12px;
  }
  .card {
    background: var(--colorNeutralBackground1);
    border: 1px solid var(--colorNeutralStroke2);
    border-radius: var(--borderRadiusLarge, 6px);
    padding: 16px;
  }
  .hint {
    color: var(--colorNeutralForeground2);
    font-size: 12px;
    line-height: 16px;
    margin: 0;
  }
  .actions {
    display: flex;
    flex-wrap: wrap;
    gap: 8px;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
  dl {
    display: grid;
    grid-template-columns: minmax(96px, max-content) 1fr;
    gap: 4px 16px;
    margin: 0;
  }
  dt {
    color: var(--colorNeutralForeground2);
  }
  dd {
    margin: 0;
    overflow-wrap: anywhere;
  }
  /* Given the focus by the app, to be read on from there; it does nothing itself. */
  h1:focus {
    outline: none;
  }
  summary {
    cursor: pointer;
    padding: 4px 0;
  }
  a {
    color: var(--colorBrandForegroundLink);
  }
  :focus-visible {
    outline: 2px solid var(--colorStrokeFocus2);
    outline-offset: 2px;
    border-radius: 2px;
  }
`;
