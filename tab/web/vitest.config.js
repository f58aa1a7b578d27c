import { defineConfig } from "vitest/config";

// What is pure in the client, without a browser. What needs one is in tests/e2e.
export default defineConfig({
  test: { include: ["test/**/*.test.ts"], environment: "node", testTimeout: 60_000 },
});
