import { defineConfig } from "vite";

// Built into dist/, which the tab API serves below /tab/; names below assets/ carry a hash of their content.
export default defineConfig({
  base: "/tab/",
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
});
