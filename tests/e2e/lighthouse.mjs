// Lighthouse on the tab as Teams on a phone shows it. Usage: node lighthouse.mjs CHROMIUM URL SETTINGS_JSON mobile|desktop
// Prints {categories: {name: score 0 to 100}, metrics: {name: {value: ms or a number, text}}, requests, failures}.
import { readFileSync } from "node:fs";
import lighthouse, { desktopConfig } from "lighthouse";
import puppeteer from "puppeteer-core";

const [chromium, url, settings, form] = process.argv.slice(2);
const phone = readFileSync(new URL("../support/phone.js", import.meta.url), "utf8");
const browser = await puppeteer.launch({
  executablePath: chromium,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"],
});
try {
  const page = await browser.newPage();
  await page.evaluateOnNewDocument(`const SETTINGS = ${settings};\n${phone}`);
  const config = form === "desktop" ? desktopConfig : undefined;
  const onlyCategories = ["performance", "accessibility", "best-practices"];
  // The tab's stream of updates never ends, so the network is never idle: everything is there long before.
  const { lhr } = await lighthouse(url, { onlyCategories, maxWaitForLoad: 10_000 }, config, page);
  if (lhr.runtimeError) throw new Error(`${lhr.runtimeError.code}: ${lhr.runtimeError.message}`);
  const failures = Object.values(lhr.audits)
    .filter((audit) => audit.score !== null && audit.score < 0.9 && audit.scoreDisplayMode !== "informative")
    .map((audit) => `${audit.id}: ${audit.displayValue ?? audit.title}`);
  const requests = lhr.audits["network-requests"].details.items.map((item) => ({
    url: new URL(item.url).pathname,
    bytes: item.transferSize,
    type: item.resourceType,
  }));
  const categories = Object.fromEntries(Object.entries(lhr.categories).map(([name, { score }]) => [name, score * 100]));
  const metrics = Object.fromEntries(
    ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift", "speed-index"].map(
      (name) => [name, { value: lhr.audits[name]?.numericValue, text: lhr.audits[name]?.displayValue }],
    ),
  );
  console.log(JSON.stringify({ categories, metrics, requests, failures }, null, 1));
} finally {
  await browser.close();
}
