// The page at /docs, in a browser.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { adminKey, get, operations, url } from "./gateway.mjs";

const pictures = fileURLToPath(new URL("../../build/test/page/", import.meta.url));
const profile = mkdtempSync(join(tmpdir(), "pg_org_page."));
const complaints = []; // of the browser: errors, violations of the policy, requests to anywhere else
let browser;
let page;

before(async () => {
  mkdirSync(pictures, { recursive: true });
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium-headless-shell",
    viewport: { width: 1280, height: 1000 },
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"],
  });
  page = browser.pages()[0];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== url && protocol !== "data:") complaints.push(`request to ${request.url()}`);
  });
  await page.goto(`${url}/docs`);
  await page.locator(".opblock").first().waitFor();
});

after(async () => {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true });
});

const picture = (name) => page.screenshot({ path: `${pictures}${name}.png` });
const block = (id) => page.locator(`.opblock[id$="-${id}"]`);

test("shows every operation", async () => {
  await picture("page");
  const shown = await page.locator(".opblock .opblock-summary-path").evaluateAll((paths) =>
    paths.map((path) => path.dataset.path));
  assert.deepEqual(shown.sort(), operations.map(({ path }) => path).sort());
});

test("takes a key, and makes an organization with it", async () => {
  await page.getByRole("button", { name: "Authorize" }).first().click();
  await picture("authorize");
  await page.locator(".auth-container input").fill(adminKey);
  await page.getByRole("button", { name: "Apply credentials" }).click();
  await page.getByRole("button", { name: "Close" }).first().click();

  const operation = block("org_new");
  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  await picture("try");
  await operation.getByRole("button", { name: "Execute" }).click();
  await operation.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
  await operation.locator(".live-responses-table").scrollIntoViewIfNeeded();
  await picture("reply");
  const made = await get("/organization/info?organization_id=acme", { Authorization: `Bearer ${adminKey}` });
  assert.equal((await made.json()).organization_alias, "Acme");
});

test("lists all, for no filter is filled in beforehand", async () => {
  const operation = block("org_list");
  await operation.locator(".opblock-summary-control").click();
  await operation.getByRole("button", { name: "Try it out" }).click();
  for (const input of await operation.locator(".parameters input").all()) assert.equal(await input.inputValue(), "");
  await operation.getByRole("button", { name: "Execute" }).click();
  await operation.locator(".live-responses-table .response-col_status", { hasText: "200" }).waitFor();
  await picture("list");
  assert.match(await operation.locator(".live-responses-table").innerText(), /"organization_id": "acme"/);
});

// In a page of its own: the browser reports each 401 as an error.
test("takes no wrong key, in the dark and on a small screen", async () => {
  const small = await browser.newPage();
  await small.setViewportSize({ width: 390, height: 800 });
  await small.emulateMedia({ colorScheme: "dark" });
  await small.goto(`${url}/docs`);
  await small.getByRole("button", { name: "Authorize" }).first().click();
  const bearer = small.locator(".auth-container", { hasText: "bearer" });
  await bearer.locator("input").fill("sk-wrong");
  await bearer.getByRole("button", { name: "Apply credentials" }).click();
  await bearer.locator(".errors", { hasText: "Invalid proxy server token" }).waitFor();
  await small.getByRole("button", { name: "Close" }).first().click();
  await small.locator(".opblock-summary-control").first().click();
  await small.locator(".opblock-body").first().waitFor();
  await small.screenshot({ path: `${pictures}small.png` });
  const { width, background } = await small.evaluate(() => ({
    width: document.documentElement.scrollWidth,
    background: getComputedStyle(document.body).backgroundColor,
  }));
  assert.equal(width, 390);
  assert.equal(background, "rgb(28, 32, 34)");
  await small.close();
});

test("gives the browser nothing to complain of, and nothing to fetch from elsewhere", () => {
  assert.deepEqual(complaints, []);
});
