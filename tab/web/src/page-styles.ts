// Styles shared by the large pages; the first view does not need them.
import { css } from "lit";

/** Cards in a column. */
export const sectionStyles = css`
  .card {
    margin-bottom: 16px;
  }
`;

/**
 * Tables with text aligned to the start. In tables of class `numbers`, all columns but the first are aligned to
 * the end.
 */
export const tableStyles = css`
  table {
    border-collapse: collapse;
  }
  th,
  td {
    text-align: start;
    padding: 6px 12px 6px 0;
  }
  .numbers th,
  .numbers td {
    text-align: end;
  }
  .numbers th:first-child {
    text-align: start;
  }
  .numbers tbody th {
    font-weight: 400;
  }
  .scroll {
    overflow: auto;
  }
`;

/** Check boxes that are large enough for touch, in the brand colour. */
export const tickStyles = css`
  input[type="checkbox"],
  input[type="radio"] {
    width: 18px;
    height: 18px;
    vertical-align: -4px;
    flex: none;
    accent-color: var(--colorCompoundBrandBackground);
  }
  /* A finger meets the words as well. */
  :where(label:has(> input[type="checkbox"], > input[type="radio"])) {
    display: inline-flex;
    gap: 8px;
    align-items: center;
    min-height: 28px;
  }
`;

/** Lists whose rows have a name, small text below it, and buttons. */
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
