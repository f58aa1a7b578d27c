// What the overview says first: the worst of what is true, and the step that helps.
import { describe, expect, it } from "vitest";
import type { MyState } from "../src/api.js";
import { initialsOf } from "../src/frame/initials.js";
import { nextSteps, situationOf } from "../src/pages/situation.js";

const connection = {
  pbxName: "pbx.example.com",
  connected: true,
  since: null,
  pbxVersion: null,
  hasTelephone: true,
  findings: [],
};
const licence = { kind: "FL" as const, since: "2026-11-27T08:00:00Z", seatsUsed: 1, seatsTotal: 2, endsBy: null };
const person = { login: "1001", displayName: "Anna Berger", email: "", isAdministrator: false, needsPassword: false };
const warning = { code: "uci-off", title: "", detail: "", cure: "", blocking: false };

function state(changes: object): MyState {
  const state = {
    signedIn: true,
    teamsName: "",
    offers: [],
    audio: null,
    endsAt: null,
    waiting: null,
    sessionEnd: null,
  };
  return { ...state, person, licence, connection, ...changes };
}

describe("the situation", () => {
  it.each([
    ["ready", "good", {}],
    ["signed-in", "good", { connection: { ...connection, hasTelephone: false } }],
    ["administration", "warning", { licence: { ...licence, kind: "ADM" } }],
    ["limited", "warning", { connection: { ...connection, findings: [warning] } }],
    ["audio", "warning", { audio: "conflict" }],
    ["ending", "warning", { endsAt: "2026-12-01T00:00:00Z", audio: "conflict" }],
    ["ending", "warning", { licence: { ...licence, endsBy: "2026-12-01T00:00:00Z" } }],
    ["not-connected", "bad", { connection: { ...connection, connected: false }, audio: "conflict" }],
    ["not-connected", "bad", { connection: null }],
  ])("is %s (%s)", (kind, health, changes) => {
    expect(situationOf(state(changes))).toEqual({ kind, health });
  });
});

describe("the next steps", () => {
  it("begin with the telephone where there is one", () => {
    expect(nextSteps(state({})).map(({ page }) => page)).toEqual(["phone", "audio", "settings"]);
    expect(nextSteps(state({ licence: { ...licence, kind: "ADM" } })).map(({ page }) => page)).not.toContain("phone");
  });

  it("begin with the page that helps", () => {
    const administrator = { ...person, isAdministrator: true };
    const down = { ...connection, connected: false };
    expect(nextSteps(state({ audio: "likely" }))[0]).toMatchObject({ page: "audio", isUrgent: true });
    expect(nextSteps(state({ person: administrator, connection: down }))[0]).toMatchObject({
      page: "connection",
      isUrgent: true,
    });
    // Others cannot open that page, and nothing else helps.
    expect(nextSteps(state({ connection: down })).some(({ isUrgent }) => isUrgent)).toBe(false);
  });
});

describe("initials", () => {
  it.each([
    ["Anna Berger", "AB"],
    ["Anna Maria Berger", "AB"],
    ["Dr. Ömer Çelik", "DÇ"],
    ["anna", "A"],
    ["(Gast) Max", "GM"],
    ["李 小龙", "李小"],
    ["😀", ""],
    ["", ""],
  ])("of %j are %j", (name, initials) => {
    expect(initialsOf(name)).toBe(initials);
  });
});
