// The address of a page: it survives a reload, with its filters.
import { beforeEach, describe, expect, it, vi } from "vitest";
import { AddressParameters, beginAddress, firstAddress, showAddress } from "../src/address.js";

const PAGES = ["state", "licences"] as const;
const place = { hash: "" };
const stored = new Map<string, string>();
const host = {
  addController: vi.fn(),
  removeController: vi.fn(),
  requestUpdate: vi.fn(),
  updateComplete: Promise.resolve(true),
};

beforeEach(() => {
  place.hash = "";
  stored.clear();
  const go = (_state: null, _title: string, address: string) => (place.hash = address);
  vi.stubGlobal("location", place);
  vi.stubGlobal("history", { pushState: go, replaceState: go });
  vi.stubGlobal("sessionStorage", {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
  });
});

describe("the first address", () => {
  it.each([
    ["licences?kind=FL", { page: "licences", query: "?kind=FL" }],
    ["licences", { page: "licences", query: "" }],
    ["nonsense?kind=FL", null],
    [undefined, null],
  ])("of a link to %s", (linked, expected) => {
    expect(firstAddress(PAGES, linked)).toEqual(expected);
  });

  it("is the one before a reload, unless another link was followed since", () => {
    showAddress("state", "licences");
    place.hash = ""; // Teams opens its own address again.
    expect(firstAddress(PAGES, "licences")?.page).toBe("state");
    expect(firstAddress(PAGES, "licences?kind=FL")?.query).toBe("?kind=FL");
  });
});

describe("parameters", () => {
  it("stay after a reload, also with a link that has some of its own", () => {
    const linked = "licences?kind=FL x";
    beginAddress({ page: "licences", query: "?kind=FL" }, linked);
    new AddressParameters(host, "licences").set({ search: "Müller & Söhne", kind: "" });
    place.hash = "";
    const again = firstAddress(PAGES, linked);
    expect(again?.page).toBe("licences");
    expect(new URLSearchParams(again?.query).get("search")).toBe("Müller & Söhne");
  });

  it("belong to one page, and are bounded", () => {
    place.hash = `#licences?search=${"x".repeat(201)}&kind=FL`;
    const parameters = new AddressParameters(host, "licences");
    expect(parameters.get("kind")).toBe("FL");
    expect(parameters.get("search")).toBe("");
    expect(new AddressParameters(host, "audit").get("kind")).toBe("");
  });

  it("that are empty leave the address", () => {
    place.hash = "#licences?kind=FL";
    new AddressParameters(host, "licences").set({ kind: "" });
    expect(place.hash).toBe("#licences");
  });
});
