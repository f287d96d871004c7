// One organization: its reports, its members, teams, keys and limits.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, assertNoComplaints, choose, go, keys, refused, said, settled, signedIn } from "./reader.mjs";

const at = (tab) => `#/organizations/acme/${tab}`;
const row = (page, name) => page.getByRole("row").filter({ hasText: name });
const dialog = (page) => page.getByRole("dialog");
const acme = () => ask("GET", "/organization/info?organization_id=acme");
const teamOf = async (alias) =>
  (await ask("GET", "/v2/team/list?organization_id=acme")).teams.find(({ team_alias }) => team_alias === alias);
const keyOf = async (alias) => {
  const query = `organization_id=acme&return_full_object=true&key_alias=${encodeURIComponent(alias)}`;
  return (await ask("GET", `/key/list?${query}`)).keys[0];
};
const inDollars = (text) => Number(text.replace(/[$,]/g, ""));

test("shows the spend of each day, stacked in four ways that add up to the same", async () => {
  const page = await signedIn(keys.orgAdmin, at("spend"));
  const days = 28;
  const first = new Date(Date.now() - (days - 1) * 86400_000).toISOString().slice(0, 10);
  const today = new Date().toISOString().slice(0, 10);
  const query = `organization_ids=acme&start_date=${first}&end_date=${today}&page_size=100`;
  const { results } = await ask("GET", `/organization/daily/activity?${query}`);
  const expected = new Map(results.map(({ date, metrics }) => [date, metrics.spend]));
  const names = { model: "openai/gpt-4o", team: "Research", key: "help desk bot", member: "margaret" };
  for (const [view, name] of Object.entries(names)) {
    await page.getByText(view, { exact: true }).click();
    await page.getByRole("img", { name: `Spend by day, stacked by ${view}` }).waitFor();
    await page.getByRole("list", { name: "Legend" }).getByText(name, { exact: true }).waitFor();
    await page.getByText("Show as a table").click();
    const table = page.getByRole("region", { name: `Spend by day, stacked by ${view}` });
    for (const line of (await table.getByRole("row").all()).slice(1)) {
      const [day, ...amounts] = await line.getByRole("cell").or(line.getByRole("rowheader")).allInnerTexts();
      const together = inDollars(amounts.pop());
      const sum = amounts.reduce((all, one) => all + inDollars(one), 0);
      assert.ok(Math.abs(together - (expected.get(day) ?? 0)) < 0.006, `${view}, ${day}: ${together}`);
      assert.ok(Math.abs(together - sum) < 0.01 * amounts.length, `${view}, ${day}: ${sum}`);
    }
    await page.getByText("Show as a table").click();
  }
});

test("shows the period so far against the limit, and where it will end", async () => {
  const page = await signedIn(keys.viewer, at("spend"));
  const { period_spend } = await acme();
  const tile = page.getByRole("region", { name: "This period" });
  assert.equal(inDollars(await tile.locator(".tile-value").innerText()), Math.round(period_spend * 100) / 100);
  assert.match(await tile.getByRole("meter").getAttribute("aria-valuetext"), /of \$600\.00/);
  const projected = page.getByRole("region", { name: "Projected end of the period" });
  await projected.getByText("At the pace of the last seven days").waitFor();
  assert.ok(inDollars(await projected.locator(".tile-value").innerText()) >= Math.floor(period_spend));
});

test("shows how many calls each limit refused in the last day", async () => {
  const page = await signedIn(keys.orgAdmin, at("spend"));
  const refusals = page.getByRole("region", { name: "Refusals of the last day, by limit" });
  await refusals.getByRole("listitem").nth(1).waitFor();
  const texts = await refusals.getByRole("listitem").allInnerTexts();
  assert.deepEqual(
    texts.map((text) => text.replace(/, last .*/, "").split(/\n+/)),
    [
      ["Key product search may use 200,000 tokens per day", "3 calls"],
      ["All together may spend $40.00 per day", "2 calls"],
    ],
  );
});

test("adds, changes and removes members", async () => {
  const page = await signedIn(keys.orgAdmin, at("members"));
  await page.getByRole("button", { name: "Add a member" }).click();
  await dialog(page).getByLabel("E-mail address or user identifier").fill("new@acme.example");
  await dialog(page).getByRole("button", { name: "Add" }).click();
  await row(page, "new@acme.example").waitFor();
  await page.getByLabel("Role of new@acme.example").selectOption("internal_user_viewer");
  await said(page, "new@acme.example is now Member, reads only");
  await page.getByRole("button", { name: "Change what new@acme.example may spend" }).click();
  await page.getByRole("textbox", { name: "what new@acme.example may spend" }).fill("12.5");
  await page.keyboard.press("Enter");
  await row(page, "new@acme.example").getByRole("meter").waitFor();
  const member = (await acme()).members.find(({ user_email }) => user_email === "new@acme.example");
  assert.deepEqual([member.user_role, member.litellm_budget_table.max_budget], ["internal_user_viewer", 12.5]);
  await choose(page, "new@acme.example", "Remove");
  await dialog(page).getByRole("button", { name: "Remove" }).click();
  await row(page, "new@acme.example").waitFor({ state: "detached" });
});

test("says plainly what is refused, and shows what holds", async () => {
  const page = await signedIn(keys.orgAdmin, at("members"));
  await page.getByLabel("Role of ada@acme.example").selectOption("internal_user");
  await refused(page, /last/i);
  assert.equal(await page.getByLabel("Role of ada@acme.example").inputValue(), "org_admin");
});

test("makes, changes, blocks and deletes teams", async () => {
  const page = await signedIn(keys.orgAdmin, at("teams"));
  await page.getByRole("button", { name: "New team" }).click();
  await dialog(page).getByLabel("Name").fill("Sales");
  await dialog(page).getByLabel("May spend (US dollars)").fill("20");
  await dialog(page).getByRole("button", { name: "Make" }).click();
  await row(page, "Sales").waitFor();
  await page.getByRole("button", { name: "Change the name of Sales" }).click();
  await page.getByRole("textbox", { name: "the name of Sales" }).fill("Sales and more");
  await page.getByRole("button", { name: "Save" }).click();
  await row(page, "Sales and more").waitFor();
  await choose(page, "Sales and more", "Change");
  await dialog(page).getByLabel("Requests per minute").fill("30");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await said(page, "Saved");
  await choose(page, "Sales and more", "Members");
  await dialog(page).getByLabel("E-mail address or user identifier").fill("linus");
  await dialog(page).getByRole("button", { name: "Add" }).click();
  await dialog(page).getByLabel("Role of linus@acme.example").selectOption("admin");
  await settled(page);
  await dialog(page).getByRole("button", { name: "Close" }).click();
  await choose(page, "Sales and more", "Block");
  await dialog(page).getByRole("button", { name: "Block" }).click();
  await row(page, "Sales and more").getByText("blocked").waitFor();
  const team = await teamOf("Sales and more");
  assert.deepEqual([team.max_budget, team.rpm_limit, team.blocked], [20, 30, true]);
  assert.equal(team.members_with_roles.find(({ user_id }) => user_id === "linus").role, "admin");
  await choose(page, "Sales and more", "Delete");
  await dialog(page).getByRole("textbox").fill("Sales and more");
  await dialog(page).getByRole("button", { name: "Delete for ever" }).click();
  await row(page, "Sales and more").waitFor({ state: "detached" });
});

test("overwrites no team that somebody else has changed", async () => {
  const page = await signedIn(keys.orgAdmin, at("teams"));
  await row(page, "Product").waitFor();
  await ask("POST", "/team/update", { team_id: "product", max_budget: 33 });
  await page.getByRole("button", { name: "Change the name of Product" }).click();
  await page.getByRole("textbox", { name: "the name of Product" }).fill("Produce");
  await page.keyboard.press("Enter");
  await refused(page, "Somebody else changed May spend from none to 33.");
  assert.ok(await teamOf("Product"));
  await ask("POST", "/team/update", { team_id: "product", max_budget: null });
});

test("makes a key whose secret is shown once, and then rotates, blocks and expires it", async () => {
  const page = await signedIn(keys.orgAdmin, at("keys"));
  await page.getByRole("button", { name: "New key" }).click();
  await dialog(page).getByLabel("Name").fill("brand new");
  await dialog(page).getByLabel("Team").selectOption("research");
  await dialog(page).getByLabel("May spend (US dollars)").fill("5");
  await dialog(page).getByLabel("Expires").selectOption("30d");
  await dialog(page).getByRole("button", { name: "Make" }).click();
  const secret = await dialog(page).getByLabel("The secret").innerText();
  assert.equal((await ask("GET", "/key/info", undefined, secret)).info.key_alias, "brand new");
  await dialog(page).getByRole("button", { name: "Copy the secret" }).waitFor();
  await dialog(page).getByRole("button", { name: "Done" }).click();
  await row(page, "brand new").waitFor();
  assert.ok(!(await page.content()).includes(secret));

  await choose(page, "brand new", "Rotate");
  await dialog(page).getByLabel("The old secret").selectOption("1h");
  await dialog(page).getByRole("button", { name: "Rotate" }).click();
  const other = await dialog(page).getByLabel("The secret").innerText();
  await dialog(page).getByRole("button", { name: "Done" }).click();
  for (const one of [secret, other])
    assert.equal((await ask("GET", "/key/info", undefined, one)).info.key_alias, "brand new");

  await choose(page, "brand new", "Block");
  await dialog(page).getByRole("button", { name: "Block" }).click();
  await row(page, "brand new").getByText("blocked").waitFor();
  await choose(page, "brand new", "Unblock");
  await dialog(page).getByRole("button", { name: "Unblock" }).click();
  await row(page, "brand new").getByText("ok").waitFor();
  await choose(page, "brand new", "Expiry");
  await dialog(page).getByLabel("The key expires").selectOption("1h");
  await dialog(page).getByRole("button", { name: "Save" }).click();
  await row(page, "brand new")
    .getByText(/in (1 hour|\d+ minutes)/)
    .waitFor();
  const digests = await page.evaluate(() => document.body.innerText.match(/[0-9a-f]{64}/));
  assert.equal(digests, null);
  await choose(page, "brand new", "Delete");
  await dialog(page).getByRole("button", { name: "Delete for ever" }).click();
  await row(page, "brand new").waitFor({ state: "detached" });
});

test("finds a key by its name, and edits it in place", async () => {
  const page = await signedIn(keys.admin, at("keys"));
  await page.getByLabel("Find by its whole name").fill("evaluation");
  await page.getByRole("button", { name: "Find" }).click();
  await row(page, "notebooks").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Change what evaluation may spend" }).click();
  await page.getByRole("textbox", { name: "what evaluation may spend" }).fill("much");
  await page.keyboard.press("Enter");
  await refused(page, /max_budget/);
  await page.getByRole("textbox", { name: "what evaluation may spend" }).fill("80");
  await page.keyboard.press("Enter");
  await row(page, "evaluation")
    .getByRole("button", { name: "Change what evaluation may spend" })
    .getByText("$80.00")
    .waitFor();
  assert.equal((await keyOf("evaluation")).max_budget, 80);
});

async function write(page, { each, value, per, model }) {
  await page.getByRole("button", { name: "Add a limit" }).click();
  if (each) await page.getByLabel("Who", { exact: true }).selectOption(each);
  await page.getByLabel("How much").fill(value);
  if (per) await page.getByLabel("Per what time").selectOption(per);
  if (model) await page.getByLabel("Model").fill(model);
  await page.getByRole("button", { name: "Try it" }).click();
}

test("tries a limit before it is saved, then saves, changes and removes it", async () => {
  const page = await signedIn(keys.admin, at("limits"));
  await write(page, { each: "member", value: "1", per: "1y" });
  const told = page.getByRole("status").filter({ hasText: "These would be over it now" });
  const query = `start_date=${new Date().getUTCFullYear()}-01-01&end_date=2999-01-01&page_size=400`;
  const { token_id } = await keyOf("help desk bot");
  const { metadata } = await ask(
    "GET",
    `/organization/daily/activity?organization_ids=acme&api_key=${token_id}&${query}`,
  );
  const spent = metadata.total_spend;
  await told.getByText(`margaret: $${spent.toFixed(2)}, and $8.50 held`).waitFor();
  assert.equal(await told.getByText("grace").count(), 0, "she has a limit of her own");
  const before = (await acme()).litellm_budget_table.limits.length;
  await page.getByRole("button", { name: "Save the limit" }).click();
  await page.getByText("Each member may spend $1.00 per year").waitFor();
  assert.equal((await acme()).litellm_budget_table.limits.length, before + 1);

  await page.getByRole("button", { name: "Edit: Each member may spend $1.00 per year" }).click();
  await page.getByLabel("How much").fill("9999");
  await page.getByRole("button", { name: "Try it" }).click();
  await page.getByText("Nobody would be over it now.").waitFor();
  await page.getByRole("button", { name: "Save the limit" }).click();
  await page.getByText("Each member may spend $9,999.00 per year").waitFor();
  await page.getByRole("button", { name: "Remove: Each member may spend $9,999.00 per year" }).click();
  await page.getByText("Each member may spend $9,999.00 per year").waitFor({ state: "detached" });
  assert.equal((await acme()).litellm_budget_table.limits.length, before);
});

test("lets the database judge a limit", async () => {
  const page = await signedIn(keys.admin, at("limits"));
  await write(page, { value: "5", per: "other" });
  await page.getByText("Nobody would be over it").or(page.getByText("these would be over it")).first().waitFor();
  await page.getByLabel("Length, such as 12h or 2w").fill("7 fortnights");
  await page.getByRole("button", { name: "Try it" }).click();
  await refused(page, /limit\.per/);
});

test("overwrites no limits that somebody else has changed, unless told to", async () => {
  const page = await signedIn(keys.admin, at("limits"));
  await page.getByRole("button", { name: "Add a limit" }).waitFor();
  const { limits } = (await acme()).litellm_budget_table;
  await ask("PATCH", "/v2/organization/acme", { max_budget: 601 });
  await write(page, { each: "key", value: "500" });
  await page.getByRole("button", { name: "Save the limit" }).click();
  const told = page.getByRole("region", { name: "What somebody else changed" });
  assert.match(await told.innerText(), /600\s*→\s*601/);
  assert.deepEqual((await acme()).litellm_budget_table.limits, limits);
  await ask("PATCH", "/v2/organization/acme", { max_budget: 600 });
});

test("shows events as they come", async () => {
  const page = await signedIn(keys.orgAdmin, at("events"));
  await page.getByText("Live: new events show here as they come.").waitFor();
  await ask("POST", "/key/generate", { organization_id: "acme", key_alias: "seen at once" });
  await page.getByText("seen at once").waitFor();
  const { token_id } = await keyOf("seen at once");
  await ask("POST", "/key/delete", { keys: [token_id] });
  await page.getByText("key.deleted").first().waitFor();
});

test("shows who changed what, before and after side by side", async () => {
  await ask("POST", "/team/update", { team_id: "support", team_alias: "Help desk" });
  const page = await signedIn(keys.orgAdmin, at("audit"));
  await page
    .getByText(/changed team Help desk/)
    .first()
    .click();
  const line = page
    .getByRole("row")
    .filter({ has: page.getByRole("rowheader", { name: "team_alias" }) })
    .first();
  assert.deepEqual(await line.getByRole("cell").allInnerTexts(), ["Support desk", "Help desk"]);
  await ask("POST", "/team/update", { team_id: "support", team_alias: "Support desk" });
});

test("goes from page to page with the focus, the title and the browser's history", async () => {
  const page = await signedIn(keys.admin, "#/organizations");
  await page.getByRole("link", { name: "Acme" }).click();
  await page.getByRole("heading", { name: "Acme" }).waitFor();
  await page.waitForFunction(() => document.title.startsWith("Acme") && document.activeElement.id === "main");
  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await row(page, "notebooks").waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "Spend by day" }).waitFor();
  await go(page, "#/organizations/nowhere");
  await refused(page, /not found/i);
});

test("gives the browser nothing to complain of", assertNoComplaints);
