// The verdict of the connection page: what fails first, and where in the chain.
import { describe, expect, it } from "vitest";
import type { ConnectionReport } from "../src/api.js";
import { chainOf, supportText, verdictOf } from "../src/pages/connection-verdict.js";

const PARTS = ["link", "module", "rest", "uci", "permission", "licence-key"] as const;
const finding = { code: "link-down", title: "No link", detail: "It is down.", cure: "Start it.", blocking: true };

function report(...lights: string[]): ConnectionReport {
  const parts = PARTS.map((part, number) => {
    const light = lights[number] ?? "green";
    return { part, light, finding: light === "red" || light === "yellow" ? { ...finding, title: part } : null };
  });
  return {
    pbxName: "pbx.example.com",
    connected: true,
    parts,
    events: [{ at: "2026-11-27T08:00:00Z", text: "Opened", detail: "10.0.0.1" }],
  } as unknown as ConnectionReport;
}

describe("the verdict", () => {
  it.each([
    [["green"], "green", undefined],
    [["red", "off", "off", "off", "off"], "red", "link"],
    [["green", "green", "yellow", "red"], "red", "uci"],
    [["green", "green", "green", "yellow", "yellow"], "yellow", "uci"],
    [["green", "green", "green", "off", "off", "off"], "green", undefined],
    [["off", "off", "off", "off", "off", "off"], "off", undefined],
  ])("of %j is %s", (lights, health, part) => {
    const verdict = verdictOf(report(...lights));
    expect(verdict.health).toBe(health);
    expect(verdict.part?.part).toBe(part);
  });
});

describe("the chain", () => {
  it.each([
    [
      ["red", "off", "off", "off", "off"],
      ["green", "green", "red", "off", "off"],
    ],
    [
      ["green", "red", "off", "off", "off"],
      ["green", "green", "red", "off", "off"],
    ],
    [
      ["green", "green", "red", "off"],
      ["green", "green", "green", "red", "off"],
    ],
    [
      ["yellow", "green", "green", "yellow"],
      ["green", "green", "yellow", "green", "yellow"],
    ],
  ])("of %j is %j", (lights, chain) => {
    expect(chainOf(report(...lights)).map(({ light }) => light)).toEqual(chain);
  });
});

it("what is copied for the support has codes, parts and events", () => {
  const text = supportText(report("red"));
  for (const words of ["pbx.example.com", "link: red [link-down]", "2026-11-27T08:00:00Z Opened (10.0.0.1)"]) {
    expect(text).toContain(words);
  }
});
