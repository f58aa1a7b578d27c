import { readFileSync } from "node:fs";
import { defineConfig } from "vite";
import { compression, defineAlgorithm } from "vite-plugin-compression2";

// Built into dist/, which the tab API serves below /tab/; names below assets/ carry a hash of their content.
export default defineConfig({
  base: "/tab/",
  define: { VERSION: JSON.stringify(version()) },
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  plugins: [
    hostsFromOurselves(),
    // The service sends a file's compressed sibling to anyone who takes it.
    // Shorter blocks (memLevel) fit these files better: half a kilobyte less in the first view.
    compression({
      algorithms: [defineAlgorithm("gzip", { level: 9, memLevel: 6 }), defineAlgorithm("brotliCompress")],
      threshold: 300,
    }),
  ],
});

/** The version of the product: service, connector and page share it. */
function version() {
  const project = readFileSync(new URL("../../pyproject.toml", import.meta.url), "utf8");
  return /^version = "(.+)"$/m.exec(project)[1];
}

/**
 * teams-js asks Microsoft's CDN for the list of hosts that it takes messages from. The same list comes with the package:
 * it is served from here instead, so that the tab asks nobody else for anything, and its policy can say so.
 */
function hostsFromOurselves() {
  const CDN = "https://res.cdn.office.net/teams-js/validDomains/json/validDomains.json";
  return {
    name: "hosts-from-ourselves",
    apply: "build",
    transform(code, id) {
      if (!/teams-js.*internal\/constants\.js$/.test(id)) return null;
      if (!code.includes(`new URL("${CDN}")`)) this.error("teams-js no longer names its list of hosts as it did");
      const source = readFileSync(id.replace("internal/constants.js", "artifactsForCDN/validDomains.json.js"), "utf8");
      const list = /\[[^\]]*\]/.exec(source)?.[0];
      if (list === undefined) this.error("teams-js no longer brings its list of hosts");
      const file = this.emitFile({ type: "asset", name: "teams-hosts.json", source: `{"validOrigins":${list}}` });
      return code.replace(`new URL("${CDN}")`, `new URL(import.meta.ROLLUP_FILE_URL_${file}, location.href)`);
    },
  };
}
