// What the overview says first, and what it leads to. Pure; tested by a table.
import type { MyState } from "../api.js";
import type { FrameIcon } from "../icons.js";

/** The sentence `situation.KIND` says it. */
export interface Situation {
  kind: "ready" | "signed-in" | "administration" | "not-connected" | "limited" | "ending" | "audio";
  health: "good" | "warning" | "bad";
}

export interface NextStep {
  page: "phone" | "audio" | "licences" | "connection" | "settings";
  icon: FrameIcon;
  /** Whether something fails until the person does it. */
  isUrgent: boolean;
}

/** Whether the person can use a telephone. Users who are signed in for administration only cannot. */
export function hasPhone({ connection, licence }: MyState): boolean {
  return connection?.hasTelephone === true && licence?.kind !== "ADM";
}

/** Return the worst of what is true. */
export function situationOf(state: MyState): Situation {
  const { connection, licence } = state;
  if (connection?.connected !== true) return { kind: "not-connected", health: "bad" };
  if (licence?.endsBy || state.endsAt) return { kind: "ending", health: "warning" };
  if (state.audio !== null) return { kind: "audio", health: "warning" };
  if (connection.findings.length > 0) return { kind: "limited", health: "warning" };
  if (licence?.kind === "ADM") return { kind: "administration", health: "warning" };
  return { kind: hasPhone(state) ? "ready" : "signed-in", health: "good" };
}

/** Return what the person can do now, the most urgent first. */
export function nextSteps(state: MyState): NextStep[] {
  const { kind } = situationOf(state);
  const administers = state.person?.isAdministrator ?? false;
  const steps: NextStep[] = [];
  const add = (page: NextStep["page"], icon: FrameIcon, isUrgent = false) => steps.push({ page, icon, isUrgent });
  if (hasPhone(state) && kind !== "not-connected") add("phone", "phone");
  add("audio", "audio", kind === "audio");
  if (administers) {
    add("licences", "licences", kind === "administration");
    add("connection", "connection", kind === "not-connected" || kind === "limited");
  }
  add("settings", "settings");
  return steps.sort((one, other) => Number(other.isUrgent) - Number(one.isUrgent));
}
