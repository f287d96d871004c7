// Everybody can use every page: by keyboard, with a screen reader, on a phone, in the dark, and when things go wrong.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import {
  ask,
  assertNoComplaints,
  choose,
  go,
  keys,
  narrow,
  open,
  picture,
  refused,
  settled,
  signedIn,
} from "./reader.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

// What axe finds on a page, as one line each.
async function findings(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(
    ({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`,
  );
}

// In each of the schemes that the browser may prefer.
async function assertAccessible(page, name, width, schemes) {
  for (const colorScheme of schemes) {
    await page.emulateMedia({ colorScheme });
    await picture(page, `${name.replaceAll(" ", "-")}-${width}-${colorScheme}`);
    assert.deepEqual(await findings(page), [], `${name}, ${colorScheme}`);
  }
}

const pages = {
  organizations: "#/organizations",
  spend: "#/organizations/acme/spend",
  members: "#/organizations/acme/members",
  teams: "#/organizations/acme/teams",
  keys: "#/organizations/acme/keys",
  limits: "#/organizations/acme/limits",
  events: "#/organizations/acme/events",
  audit: "#/organizations/acme/audit",
  own: "#/own",
};
// By the window's width.
const looks = { wide: [null, ["light", "dark"]], narrow: [narrow, ["light"]] };

for (const [width, [size, schemes]] of Object.entries(looks))
  test(`is accessible and fits: ${width}, ${schemes.join(" and ")}`, async () => {
    const signingIn = await open("", size);
    await assertAccessible(signingIn, "sign in", width, schemes);
    await signingIn.close();
    const page = await signedIn(keys.admin, "", size);
    for (const [name, place] of Object.entries(pages)) {
      await go(page, place);
      await page.getByRole("heading").first().waitFor();
      await settled(page);
      await assertAccessible(page, name, width, schemes);
      const { scroll, shown } = await page.evaluate(() => ({
        scroll: document.documentElement.scrollWidth,
        shown: innerWidth,
      }));
      assert.ok(scroll <= shown, `${name} scrolls sideways: ${scroll}`);
    }
    await page.close();
  });

const dialogs = [
  ["#/organizations", (page) => page.getByRole("button", { name: "New organization" }).click()],
  ["#/organizations", (page) => choose(page, "Contoso", "Change")],
  ["#/organizations", (page) => choose(page, "Contoso", "Block")],
  ["#/organizations", (page) => choose(page, "Contoso", "Delete")],
  ["#/organizations/acme/members", (page) => page.getByRole("button", { name: "Add a member" }).click()],
  ["#/organizations/acme/members", (page) => choose(page, "ada@acme.example", "Limits")],
  ["#/organizations/acme/teams", (page) => choose(page, "Research", "Members")],
  ["#/organizations/acme/teams", (page) => choose(page, "Research", "Change")],
  ["#/organizations/acme/teams", (page) => choose(page, "Research", "Limits")],
  ["#/organizations/acme/keys", (page) => page.getByRole("button", { name: "New key" }).click()],
  ["#/organizations/acme/keys", (page) => choose(page, "notebooks", "Rotate")],
  ["#/organizations/acme/keys", (page) => choose(page, "notebooks", "Expiry")],
];

for (const [width, [size, schemes]] of Object.entries(looks))
  test(`has accessible dialogs, which give the focus back: ${width}, ${schemes.join(" and ")}`, async () => {
    const page = await signedIn(keys.admin, "", size);
    for (const [number, [place, show]] of dialogs.entries()) {
      await go(page, place);
      await show(page);
      const dialog = page.getByRole("dialog");
      await dialog.waitFor();
      await settled(page);
      await assertAccessible(page, `dialog ${number}`, width, schemes);
      assert.ok(await dialog.evaluate((one) => one.contains(document.activeElement)), `dialog ${number}`);
      await page.keyboard.press("Escape");
      await dialog.waitFor({ state: "detached" });
      assert.equal(await page.evaluate(() => document.activeElement.tagName), "BUTTON", `dialog ${number}`);
    }
    await page.close();
  });

// Presses Tab until something has the focus.
async function tabTo(page, role, name) {
  const wanted = page.getByRole(role, { name, exact: true });
  for (let presses = 0; presses < 60; presses += 1) {
    if (await wanted.evaluateAll((all) => all.includes(document.activeElement))) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not reach ${name}`);
}

test("works with the keyboard alone", async () => {
  const page = await open();
  await page.getByLabel("API key").waitFor();
  await tabTo(page, "textbox", "API key");
  await page.keyboard.type(keys.admin);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Organizations" }).waitFor();
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.activeElement.textContent === "Skip to the content");
  await page.keyboard.press("Enter");
  await tabTo(page, "button", "New organization");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await tabTo(page, "textbox", "Name");
  await page.keyboard.type("By Keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "By Keyboard" }).waitFor();
  await tabTo(page, "button", "Actions on By Keyboard");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement.textContent === "Actions");
  await page.keyboard.press("Enter");
  await tabTo(page, "button", "Delete");
  await page.keyboard.press("Enter");
  await tabTo(page, "textbox", "Type the name “By Keyboard” to confirm");
  await page.keyboard.type("By Keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Deleted" }).waitFor();
  await page.waitForFunction(() => document.activeElement.textContent === "Deleted");
  await tabTo(page, "button", "Done");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Organizations" }).waitFor();
});

test("says that it is offline, and goes on when it is not", async () => {
  const page = await signedIn(keys.admin);
  await page.getByRole("link", { name: "Contoso" }).waitFor();
  await page.context().setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await go(page, "#/own");
  await refused(page, "The gateway can't be reached.");
  await picture(page, "offline");
  assert.deepEqual(await findings(page), []);
  await page.context().setOffline(false);
  await page.getByText("You are offline.").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Try again" }).first().click();
  await page.getByText("What is left for calls with this key").waitFor();
});

test("says that it is loading, and what to do when the database is away", async () => {
  const page = await signedIn(keys.admin);
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route(/\/usage\/limits/, async (route) => {
    await held;
    await route.fulfill({
      status: 503,
      contentType: "application/json",
      body: '{"error": {"message": "The database is unavailable", "type": "x", "param": "None", "code": "503"}}',
    });
  });
  await go(page, "#/own");
  await page.getByRole("status").getByText("Loading").first().waitFor();
  await picture(page, "loading");
  release();
  await refused(page, "The database is unavailable");
  await refused(page, /Try again in a few seconds/);
  await picture(page, "unavailable");
  await page.unroute(/\/usage\/limits/);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("No limits apply to this key").waitFor();
});

test("says what is empty, and what to do then", async () => {
  await ask("POST", "/organization/new", { organization_id: "void", organization_alias: "Void" });
  const page = await signedIn(keys.admin, "#/organizations/void/spend");
  await page.getByText("Nothing was spent in this time").waitFor();
  await page.getByText("No limit refused a call").waitFor();
  await picture(page, "empty-spend");
  for (const [tab, text] of Object.entries({
    members: "No members yet",
    teams: "No teams",
    keys: "No keys",
    limits: "No limits",
  })) {
    await go(page, `#/organizations/void/${tab}`);
    await page.getByText(text, { exact: true }).waitFor();
    assert.deepEqual(await findings(page), [], tab);
  }
  await ask("DELETE", "/organization/delete", { organization_ids: ["void"] });
});

test("gives the browser nothing to complain of", assertNoComplaints);
