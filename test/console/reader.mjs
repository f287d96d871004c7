// A reader of the console: a browser, signed in with some key, that is watched for complaints.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, afterEach } from "node:test";

import { chromium } from "playwright-core";

export const url = process.env.PG_ORG_URL;
export const adminKey = process.env.PG_ORG_ADMIN_KEY;

// By role; seed.sql makes all but the first.
export const keys = {
  admin: adminKey,
  viewer: "sk-viewer",
  orgAdmin: "sk-org-admin",
  teamAdmin: "sk-team-admin",
  member: "sk-member",
  memberViewer: "sk-member-viewer",
  ofTeam: "sk-of-team",
};

// A request beside the console; the reply's JSON.
export async function ask(method, path, body, key = adminKey) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const response = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const reply = await response.json();
  assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(reply)}`);
  return reply;
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium-headless-shell",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
  ],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: "en-US" });
const first = await context.newPage(); // stays open, and with it the process for the site
await first.goto(`${url}/health/liveliness`);
export const close = () => browser.close();
after(close);

// Each test finds a browser that is online and has kept nothing.
afterEach(async () => {
  await Promise.all(context.pages().map((page) => page === first || page.close()));
  await context.setOffline(false);
  await context.clearCookies();
  await first.evaluate(() => localStorage.clear());
});

// What no page may ever do: fail, break its policy, or ask anybody but the gateway.  A refused request is none of
// these.
const complaints = [];
export const assertNoComplaints = () => assert.deepEqual(complaints, []);

const pending = new WeakMap(); // the requests of a page that are under way

function watch(page) {
  const requests = new Set();
  pending.set(page, requests);
  page.on("request", (request) => {
    if (!request.headers().accept?.includes("event-stream")) requests.add(request);
  });
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, (request) => requests.delete(request));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("dialog", (dialog) => complaints.push(`dialog: ${dialog.message()}`));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== url && protocol !== "data:") complaints.push(`request to ${request.url()}`);
  });
}

export const narrow = { width: 390, height: 844 };

// A new browser window at some place of the console, before anybody has signed in.
export async function open(place = "", size = null) {
  const page = await context.newPage();
  if (size) await page.setViewportSize(size);
  page.setDefaultTimeout(30_000);
  watch(page);
  await page.goto(`${url}/console${place}`);
  return page;
}

export async function signIn(page, key, { remember = false } = {}) {
  await page.getByLabel("API key").fill(key);
  if (remember) await page.getByLabel("Remember on this device").check();
  await page.getByRole("button", { name: "Sign in" }).click();
}

export async function signedIn(key, place = "", size = null) {
  const page = await open(place, size);
  await signIn(page, key);
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  return page;
}

export const go = (page, place) => page.evaluate((hash) => void (location.hash = hash), place);

// Chooses from the menu of a thing.
export async function choose(page, thing, act) {
  await page.getByRole("button", { name: `Actions on ${thing}`, exact: true }).click();
  await page.getByRole("button", { name: act, exact: true }).click();
}

export const said = (page, text) => page.getByRole("status").getByText(text).waitFor();
export const refused = (page, text) => page.getByRole("alert").getByText(text).first().waitFor();

// To look at, in the directory PICTURES, if that is set.
const pictures = process.env.PICTURES;
if (pictures) mkdirSync(pictures, { recursive: true });
export async function picture(page, name) {
  if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, fullPage: true });
}

// Until nothing is asked for any more, but the stream of events, which never ends.
export async function settled(page) {
  for (let quiet = 0; quiet < 3; quiet += 1) {
    await page.waitForTimeout(50);
    if (pending.get(page).size || (await page.locator(".skeleton").count())) quiet = 0;
  }
}
