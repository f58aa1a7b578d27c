// A picture of the two programs and their devices, which shows a conflict at a glance. It is hidden from screen
// readers, because the table below has the same content.
import { LitElement, css, html, nothing, svg } from "lit";
import { customElement, property, state } from "lit/decorators.js";
import type { AudioUse } from "../api.js";
import { shared } from "../styles.js";
import { t } from "../words.js";

const NARROW = matchMedia("(max-width: 600px)");
const ROW = 84;
const BOX = 56;
const LINE_LENGTH = 30;

interface Box {
  x: number;
  y: number;
  width: number;
}

/** One device, and the programs that use it. */
interface Device {
  name: string;
  uses: AudioUse[];
  shared: boolean;
  doubtful: boolean;
}

@customElement("pbx-audio-picture")
export class AudioPicture extends LitElement {
  static override styles = [
    shared,
    css`
      svg {
        display: block;
        width: 100%;
        max-width: 760px;
        margin: 0 auto;
      }
      rect {
        fill: var(--colorNeutralBackground1);
        stroke: var(--colorNeutralStrokeAccessible);
      }
      .program rect {
        fill: var(--colorNeutralBackground3);
      }
      .shared rect {
        stroke: var(--colorPaletteRedBorderActive);
        stroke-width: 3;
      }
      .doubtful rect {
        stroke-dasharray: 6 4;
      }
      text {
        fill: var(--colorNeutralForeground1);
        font-size: 14px;
        text-anchor: middle;
        dominant-baseline: middle;
      }
      .small {
        font-size: 12px;
        fill: var(--colorNeutralForeground2);
      }
      path {
        fill: none;
        stroke: var(--colorNeutralStrokeAccessible);
        stroke-width: 2;
      }
      path.shared {
        stroke: var(--colorPaletteRedBorderActive);
        stroke-width: 4;
      }
      path.doubtful {
        stroke-dasharray: 6 4;
      }
      .mark circle {
        fill: var(--colorPaletteRedBorderActive);
      }
      .mark text {
        fill: var(--colorNeutralBackground1);
        font-weight: 700;
      }
    `,
  ];

  @property({ attribute: false }) uses: AudioUse[] = [];
  @state() private narrow = NARROW.matches;
  private readonly onNarrow = () => (this.narrow = NARROW.matches);

  override connectedCallback() {
    super.connectedCallback();
    NARROW.addEventListener("change", this.onNarrow);
  }

  override disconnectedCallback() {
    NARROW.removeEventListener("change", this.onNarrow);
    super.disconnectedCallback();
  }

  override render() {
    const devices = group(this.uses);
    if (devices.length === 0) return nothing;
    return this.narrow ? this.below(devices) : this.beside(devices);
  }

  private beside(devices: Device[]) {
    const height = devices.length * ROW;
    const middle = (height - BOX) / 2;
    const boxes = devices.map((_, row) => ({ x: 250, y: row * ROW + (ROW - BOX) / 2, width: 260 }));
    const programs = { teams: { x: 4, y: middle, width: 150 }, softphone: { x: 606, y: middle, width: 150 } };
    const line = (use: AudioUse, box: Box) => {
      const program = programs[use.program];
      const [from, to] = use.program === "teams" ? [154, 250] : [606, 510];
      const [start, end] = [program.y + BOX / 2, box.y + BOX / 2];
      return `M ${from} ${start} C ${(from + to) / 2} ${start}, ${(from + to) / 2} ${end}, ${to} ${end}`;
    };
    return this.drawing(760, height, devices, boxes, programs, line);
  }

  private below(devices: Device[]) {
    const height = (devices.length + 2) * ROW;
    const boxes = devices.map((_, row) => ({ x: 30, y: (row + 1) * ROW + (ROW - BOX) / 2, width: 280 }));
    const programs = {
      teams: { x: 30, y: (ROW - BOX) / 2, width: 280 },
      softphone: { x: 30, y: height - ROW + (ROW - BOX) / 2, width: 280 },
    };
    const line = (use: AudioUse, box: Box) => {
      const program = programs[use.program];
      const [side, edge] = use.program === "teams" ? [8, 30] : [332, 310];
      const [start, end] = [program.y + BOX / 2, box.y + BOX / 2];
      return `M ${edge} ${start} C ${side} ${start}, ${side} ${end}, ${edge} ${end}`;
    };
    return this.drawing(340, height, devices, boxes, programs, line);
  }

  private drawing(
    width: number,
    height: number,
    devices: Device[],
    boxes: Box[],
    programs: Record<AudioUse["program"], Box>,
    line: (use: AudioUse, box: Box) => string,
  ) {
    return html`<svg viewBox="0 0 ${width} ${height}" aria-hidden="true">
      ${devices.flatMap((device, row) =>
        oneOfEach(device.uses).map(
          (use) => svg`<path class=${kindOf(device)} d=${line(use, boxes[row] as Box)}></path>`,
        ),
      )}
      ${devices.map((device, row) => renderDevice(device, boxes[row] as Box))}
      ${(["teams", "softphone"] as const).map(
        (name) =>
          svg`<g class="program">
            ${frame(programs[name])}
            ${label([t(`audio.program.${name}`)], programs[name])}
          </g>`,
      )}
    </svg>`;
  }
}

function renderDevice(device: Device, box: Box) {
  const kinds = [...new Set(device.uses.map((use) => t(`audio.kind.${use.kind}`)))].join(", ");
  return svg`<g class=${kindOf(device)}>
    ${frame(box)}
    ${label(wrapped(device.name), box, kinds)}
    ${
      device.shared
        ? svg`<g class="mark">
            <circle cx=${box.x + box.width - 2} cy=${box.y + 2} r="12"></circle>
            <text x=${box.x + box.width - 2} y=${box.y + 3}>!</text>
          </g>`
        : nothing
    }
  </g>`;
}

function frame(box: Box) {
  return svg`<rect x=${box.x} y=${box.y} width=${box.width} height=${BOX} rx="6"></rect>`;
}

function label(lines: string[], box: Box, small = "") {
  const rows = small ? [...lines, small] : lines;
  return rows.map(
    (line, row) =>
      svg`<text
        class=${small && row === rows.length - 1 ? "small" : ""}
        x=${box.x + box.width / 2}
        y=${box.y + BOX / 2 + (row - (rows.length - 1) / 2) * 17}
      >${line}</text>`,
  );
}

/** Wrap a name into at most two lines. Longer names are truncated; the table shows them in full. */
function wrapped(name: string): string[] {
  if (name.length <= LINE_LENGTH) return [name];
  const at = name.lastIndexOf(" ", LINE_LENGTH);
  const first = name.slice(0, at > 0 ? at : LINE_LENGTH);
  const rest = name.slice(first.length).trim();
  return [first, rest.length > LINE_LENGTH ? `${rest.slice(0, LINE_LENGTH - 1)}…` : rest];
}

function kindOf(device: Device): string {
  return device.shared ? "shared" : device.doubtful ? "doubtful" : "";
}

/** Group uses of one device name into one box. A device that is shared under two names is also one box. */
function group(uses: AudioUse[]): Device[] {
  const devices = new Map<string, Device>();
  for (const use of uses) {
    const key = use.shared ? "shared" : use.name;
    const device = devices.get(key) ?? { name: use.name, uses: [], shared: use.shared, doubtful: false };
    device.uses.push(use);
    device.doubtful ||= use.doubtful;
    devices.set(key, device);
  }
  return [...devices.values()];
}

/** Keep one use of each program, which becomes its line in the picture. */
function oneOfEach(uses: AudioUse[]): AudioUse[] {
  return [...new Map(uses.map((use) => [use.program, use])).values()];
}
