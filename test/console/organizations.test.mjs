// The list of organizations, and what platform admins do with them.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, assertNoComplaints, choose, go, keys, refused, said, settled, signedIn } from "./reader.mjs";

const list = (page) => page.getByRole("list", { name: "Organizations" });
const row = (page, name) =>
  list(page)
    .getByRole("listitem")
    .filter({ has: page.getByRole("link", { name, exact: true }) });
const info = (id) => ask("GET", `/organization/info?organization_id=${id}`);

test("shows what each has spent, holds and may spend, its state and its next reset", async () => {
  const page = await signedIn(keys.admin);
  for (const [name, state] of Object.entries({
    "Northwind Traders": "near",
    Contoso: "exceeded",
    Fabrikam: "ok",
    "Tailspin Toys": "blocked",
  }))
    await row(page, name).getByText(state, { exact: true }).waitFor();
  const meter = row(page, "Northwind Traders").getByRole("meter");
  await page.waitForFunction(
    (one) => one.getAttribute("aria-valuetext").includes("held"),
    await meter.elementHandle(),
  );
  assert.equal(await meter.getAttribute("aria-valuetext"), "$731.50 of $900.00, $60.00 held");
  await row(page, "Contoso")
    .getByText(/resets /)
    .waitFor();
  await row(page, "Lucerne Publishing").getByText("no limit").waitFor();
});

test("finds by a part of the name, or by the identifier", async () => {
  const page = await signedIn(keys.viewer);
  const search = page.getByLabel("Search by name or identifier");
  await search.fill("WORLD");
  await row(page, "Contoso").waitFor({ state: "detached" });
  await row(page, "Wide World Importers").waitFor();
  await search.fill("adventure-works");
  await row(page, "Adventure Works").waitFor();
  assert.equal(await list(page).getByRole("listitem").count(), 1);
  await search.fill("no such");
  await page.getByText("No organization has this name or identifier").waitFor();
});

test("asks for nothing more of the list once the reader has left it", async () => {
  const page = await signedIn(keys.admin, "#/own");
  const asked = [];
  let letThrough;
  const isLetThrough = new Promise((resolve) => (letThrough = resolve));
  await page.route("**/key/list?*", async (route) => {
    const id = new URL(route.request().url()).searchParams.get("organization_id");
    if (id !== "acme") {
      asked.push(id);
      await isLetThrough;
    }
    await route.continue();
  });
  await go(page, "#/organizations");
  await row(page, "Acme").getByRole("link").click();
  await page.getByRole("list", { name: "Legend" }).waitFor();
  letThrough();
  await settled(page);
  assert.equal(asked.length, 4);
});

test("asks for a page at a time, however many there are", async () => {
  for (let n = 0; n < 30; n += 1)
    await ask("POST", "/organization/new", { organization_id: `many-${n}`, organization_alias: `Many ${n}` });
  const page = await signedIn(keys.admin);
  const asked = [];
  page.on("request", (request) => request.url().includes("/organization/list") && asked.push(request.url()));
  await page.getByRole("button", { name: "Next" }).click();
  await row(page, "Many 29").waitFor();
  await page.getByText("Page 2").waitFor();
  await page.getByRole("button", { name: "Previous" }).click();
  await row(page, "Northwind Traders").waitFor();
  for (const address of asked) assert.match(address, /limit=25\b/);
  await ask("DELETE", "/organization/delete", {
    organization_ids: Array.from({ length: 30 }, (_, n) => `many-${n}`),
  });
});

test("makes one", async () => {
  const page = await signedIn(keys.admin);
  await page.getByRole("button", { name: "New organization" }).click();
  const dialog = page.getByRole("dialog", { name: "New organization" });
  await dialog.getByLabel("Name").fill("Made Here");
  await dialog.getByLabel("Identifier").fill("made-here");
  await dialog.getByLabel("May spend (US dollars)").fill("-5");
  await dialog.getByRole("button", { name: "Make" }).click();
  await refused(dialog, /"max_budget" must be/);
  await dialog.getByLabel("May spend (US dollars)").fill("50");
  await dialog.getByRole("button", { name: "Make" }).click();
  await page.getByRole("heading", { name: "Made Here" }).waitFor();
  const { litellm_budget_table: budget } = await info("made-here");
  assert.deepEqual([budget.max_budget, budget.budget_duration], [50, "1mo@UTC"]);
});

test("changes one, and only what was changed", async () => {
  const page = await signedIn(keys.admin);
  await choose(page, "Made Here", "Change");
  const dialog = page.getByRole("dialog", { name: "Change the organization" });
  await dialog.getByLabel("May spend (US dollars)").fill("");
  await dialog.getByLabel("Models").fill("gpt-4o, openai/*");
  const sent = page.waitForRequest((request) => request.method() === "PATCH");
  await dialog.getByRole("button", { name: "Save" }).click();
  await said(page, "Saved");
  assert.deepEqual((await sent).postDataJSON(), { max_budget: null, models: ["gpt-4o", "openai/*"] });
  const { models, organization_alias, litellm_budget_table: budget } = await info("made-here");
  assert.deepEqual([models, organization_alias, budget.max_budget], [["gpt-4o", "openai/*"], "Made Here", null]);
});

test("shows what somebody else changed meanwhile, before it overwrites anything", async () => {
  const [first, second] = await Promise.all([signedIn(keys.admin), signedIn(keys.admin)]);
  const dialog = (page) => page.getByRole("dialog", { name: "Change the organization" });
  for (const page of [first, second]) {
    await choose(page, "Made Here", "Change");
    await dialog(page).getByLabel("Name").waitFor();
  }
  await dialog(first).getByLabel("May spend (US dollars)").fill("70");
  await dialog(first).getByRole("button", { name: "Save" }).click();
  await said(first, "Saved");
  await dialog(second).getByLabel("Name").fill("Made Elsewhere");
  await dialog(second).getByRole("button", { name: "Save" }).click();
  const told = dialog(second).getByRole("region", { name: "What somebody else changed" });
  await told.getByText("May spend", { exact: true }).waitFor();
  assert.match(await told.innerText(), /none\s*→\s*70/);
  assert.equal((await info("made-here")).organization_alias, "Made Here");
  await dialog(second).getByRole("button", { name: "Save" }).click();
  await said(second, "Saved");
  const { organization_alias, litellm_budget_table: budget } = await info("made-here");
  assert.deepEqual([organization_alias, budget.max_budget], ["Made Elsewhere", 70]);
});

test("blocks one, and unblocks it", async () => {
  const page = await signedIn(keys.admin);
  await choose(page, "Made Elsewhere", "Block");
  await page.getByRole("dialog").getByRole("button", { name: "Block" }).click();
  await row(page, "Made Elsewhere").getByText("blocked", { exact: true }).waitFor();
  assert.equal((await info("made-here")).blocked, true);
  await choose(page, "Made Elsewhere", "Unblock");
  await page.getByRole("dialog").getByRole("button", { name: "Unblock" }).click();
  await row(page, "Made Elsewhere").getByText("ok", { exact: true }).waitFor();
  assert.equal((await info("made-here")).blocked, false);
});

test("says what goes along with one before it deletes it, wants its name, and gives a receipt", async () => {
  await ask("POST", "/organization/member_add", {
    organization_id: "made-here",
    member: { role: "org_admin", user_id: "ada" },
  });
  await ask("POST", "/team/new", { organization_id: "made-here", team_alias: "Short-lived" });
  await ask("POST", "/key/generate", { organization_id: "made-here", key_alias: "one" });
  await ask("POST", "/customer/new", { organization_id: "made-here", user_id: "somebody" });
  const page = await signedIn(keys.admin);
  await choose(page, "Made Elsewhere", "Delete");
  const dialog = page.getByRole("dialog");
  for (const text of ["1 team", /1 key,/, /1 membership;/, "1 end user"]) await dialog.getByText(text).waitFor();
  const button = dialog.getByRole("button", { name: "Delete for ever" });
  assert.ok(await button.isDisabled());
  await dialog.getByRole("textbox").fill("Made");
  assert.ok(await button.isDisabled());
  await dialog.getByRole("textbox").fill("Made Elsewhere");
  await button.click();
  const receipt = page.getByRole("dialog", { name: "Deleted" });
  await receipt.getByText("1 team, 1 membership, 1 key").waitFor();
  await receipt.getByRole("button", { name: "Done" }).click();
  await row(page, "Made Elsewhere").waitFor({ state: "detached" });
  const { length } = await ask("GET", "/organization/list?org_id=made-here");
  assert.equal(length, 0);
});

test("offers none of this to those who may not, and shows them only theirs", async () => {
  for (const name of ["viewer", "orgAdmin", "teamAdmin", "member", "memberViewer", "ofTeam"]) {
    const page = await signedIn(keys[name]);
    await go(page, "#/organizations");
    await row(page, "Acme").waitFor();
    assert.equal((await list(page).getByRole("listitem").count()) > 1, name === "viewer", name);
    assert.equal(await page.getByRole("button", { name: /New organization|Actions on/ }).count(), 0, name);
    await page.close();
  }
});

test("gives the browser nothing to complain of", assertNoComplaints);
