// What the connection page concludes from the report. Pure; tested by a table.
import type { ConnectionReport } from "../api.js";

type Part = ConnectionReport["parts"][number];
export type Light = Part["light"];

export interface Verdict {
  health: Light;
  /** The part to mend first, with its finding; null if nothing fails. */
  part: Part | null;
}

/** One part of the way from Teams to the PBX. */
export interface Node {
  name: "teams" | "service" | "connector" | "pbx" | "uci";
  light: Light;
}

const WORST_FIRST: readonly Light[] = ["red", "yellow", "off", "green"];
/** How many events are copied for the support. */
const EVENTS_COPIED = 20;

function worst(lights: readonly Light[]): Light {
  return WORST_FIRST.find((light) => lights.includes(light)) ?? "off";
}

/**
 * Return the first part that fails, or else the first that is limited. Parts that are unknown or not present do not
 * count if everything that is known works.
 */
export function verdictOf({ parts }: ConnectionReport): Verdict {
  for (const light of ["red", "yellow"] as const) {
    const part = parts.find((one) => one.light === light);
    if (part !== undefined) return { health: light, part };
  }
  return { health: parts.some(({ light }) => light === "green") ? "green" : "off", part: null };
}

/** Return the chain. The report has arrived, so Teams and the service work. */
export function chainOf({ parts }: ConnectionReport): Node[] {
  const light = (...names: Part["part"][]) =>
    worst(parts.filter(({ part }) => names.includes(part)).map(({ light }) => light));
  return [
    { name: "teams", light: "green" },
    { name: "service", light: "green" },
    { name: "connector", light: light("link", "module") },
    { name: "pbx", light: light("rest") },
    { name: "uci", light: light("uci") },
  ];
}

/** Return what a support needs to know, as text in the reader's language, with times in UTC. */
export function supportText(report: ConnectionReport): string {
  const facts = [
    `PBX: ${report.pbxName} (STARFACE ${report.pbxVersion ?? "?"})`,
    `Connector: ${report.connectorVersion ?? "?"}, ${report.identity}`,
    `Link: ${report.connected ? "open" : "closed"} since ${report.since ?? "?"}, ${report.roundTripMs ?? "?"} ms`,
    `Now: ${new Date().toISOString()}`,
  ];
  const parts = report.parts.map(
    ({ part, light, finding }) =>
      `${part}: ${light}${finding ? ` [${finding.code}] ${finding.title}. ${finding.detail}` : ""}`,
  );
  const events = report.events
    .slice(0, EVENTS_COPIED)
    .map(({ at, text, detail }) => `${at} ${text}${detail ? ` (${detail})` : ""}`);
  return [...facts, "", ...parts, "", ...events].join("\n");
}
