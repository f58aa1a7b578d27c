// What people type or paste as the name of their PBX.
import { expect, it } from "vitest";
import { pbxNameOf } from "../src/pbx-name.js";

it.each([
  ["pbx.example.com", "pbx.example.com"],
  ["  PBX.example.com. ", "PBX.example.com"],
  ["https://pbx.example.com:443/login?x#y", "pbx.example.com"],
  ["„pbx.example.com“", "pbx.example.com"],
  ["<pbx.example.com>", "pbx.example.com"],
  ["192.0.2.10", "192.0.2.10"],
  ["büro.example.com", "büro.example.com"],
  ["my_pbx.example.com", "my_pbx.example.com"],
  ["pbx\\login", "pbx"],
])("%j is %s", (typed, name) => {
  expect(pbxNameOf(typed)).toBe(name);
});

it.each([
  "",
  "   ",
  "https://",
  "a b",
  "user@pbx.example.com",
  "-a.example",
  "a..b",
  "a".repeat(254),
  "a".repeat(2001),
])("%j is no name", (typed) => {
  expect(pbxNameOf(typed)).toBeNull();
});
