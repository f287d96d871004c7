// What each role sees and may do: no more is offered than the routes allow, and a refusal is shown plainly.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, assertNoComplaints, choose, go, keys, refused, settled, signedIn } from "./reader.mjs";

const tabs = ["Spend", "Members", "Teams", "Keys", "Limits", "Events", "Audit log"];
const ofMembers = ["Members", "Teams", "Keys", "Limits"];

const all = {
  team: ["Members", "Change", "Limits", "Block", "Delete"],
  key: ["Rotate", "Limits", "Expiry", "Block", "Delete"],
};
const nothing = { team: ["Members"], key: [] };

// Tabs, the buttons that make something, and what is offered for the team Research and the key "notebooks" in it.
const seen = {
  admin: { tabs, buttons: ["Add a member", "New team", "New key", "Add a limit"], acts: all },
  viewer: { tabs, buttons: [], acts: nothing },
  orgAdmin: { tabs, buttons: ["Add a member", "New team", "New key"], acts: all },
  teamAdmin: { tabs: ofMembers, buttons: ["New key"], acts: { ...nothing, key: all.key } },
  member: { tabs: ofMembers, buttons: [], acts: nothing },
  memberViewer: { tabs: ofMembers, buttons: [], acts: {} },
  ofTeam: { tabs: ofMembers, buttons: [], acts: {} },
};

for (const [name, { tabs: expected, buttons, acts }] of Object.entries(seen))
  test(`shows the ${name} what is theirs`, async () => {
    const page = await signedIn(keys[name], "#/organizations/acme");
    const parts = page.getByRole("navigation", { name: "Parts of Acme" });
    await parts.waitFor();
    assert.deepEqual(await parts.getByRole("link").allInnerTexts(), expected);
    const offered = [];
    for (const tab of ofMembers) {
      await parts.getByRole("link", { name: tab }).click();
      await page.getByRole("heading", { level: 2 }).first().waitFor();
      await settled(page);
      for (const button of ["Add a member", "New team", "New key", "Add a limit"])
        if (await page.getByRole("button", { name: button }).count()) offered.push(button);
    }
    assert.deepEqual(offered, buttons);
    for (const [tab, thing, offer] of [
      ["Teams", "Research", acts.team],
      ["Keys", "notebooks", acts.key],
    ]) {
      await parts.getByRole("link", { name: tab }).click();
      await page.getByRole("heading", { level: 2, name: tab }).waitFor();
      await settled(page);
      const menu = page.getByRole("button", { name: `Actions on ${thing}` });
      const isThere = (await menu.count()) > 0;
      if (isThere) await menu.click();
      assert.deepEqual(isThere ? await page.locator(".menu-items button").allInnerTexts() : [], offer ?? []);
    }
    await page.close();
  });

test("shows no report to those who may not see it, whatever address they enter", async () => {
  const page = await signedIn(keys.member, "#/organizations/acme/spend");
  await page.getByRole("heading", { name: "Acme" }).waitFor();
  for (const tab of ["spend", "events", "audit"]) {
    await go(page, `#/organizations/acme/${tab}`);
    await page.getByRole("alert").first().waitFor();
    assert.equal(await page.getByRole("img").count(), 0);
  }
  await go(page, "#/organizations/contoso");
  await refused(page, /not found|may not|not a member|no access|unknown/i);
});

test("shows a member every limit of their key, and lets them rotate it", async () => {
  const page = await signedIn(keys.member);
  const limits = page.getByRole("list", { name: "Limits" });
  for (const text of [
    "Organization acme may spend $600.00 per month (UTC)",
    "Team research may spend $260.00 per month (UTC)",
    "This key may make 60 requests per minute",
  ])
    await limits.getByText(text).waitFor();
  const { limits: states } = await ask("GET", "/usage/limits", undefined, keys.member);
  assert.equal(await limits.getByRole("listitem").count(), states.length);
  assert.equal(await limits.getByRole("meter").count(), states.filter(({ spent }) => spent !== null).length);

  const { key, token_id } = await ask("POST", "/key/generate", {
    organization_id: "acme",
    user_id: "linus",
    key_alias: "second",
  });
  await page.getByRole("link", { name: "My keys and limits" }).click();
  await page.reload();
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await choose(page, "second", "Rotate");
  await page.getByLabel("The old secret").selectOption("");
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  const secret = await page.getByLabel("The secret").innerText();
  assert.equal((await ask("GET", "/key/info", undefined, secret)).info.token_id, token_id);
  // It is the key that they are signed in with: they go on with its new secret.
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("link", { name: "Organizations" }).click();
  await page.getByRole("link", { name: "Acme" }).waitFor();
  await ask("POST", "/key/delete", { keys: [token_id] });
});

test("lets a member neither block a key nor change its limits", async () => {
  const page = await signedIn(keys.member);
  await page
    .getByRole("button", { name: /^Actions on/ })
    .first()
    .click();
  assert.deepEqual(await page.locator(".menu-items button").allInnerTexts(), ["Rotate", "Delete"]);
});

test("shows a refusal of the database in its words, with what to do", async () => {
  // A member whose role was taken away while the page was open.
  await ask("POST", "/organization/member_add", {
    organization_id: "acme",
    member: { role: "org_admin", user_id: "brief" },
  });
  const { key } = await ask("POST", "/key/generate", {
    organization_id: "acme",
    user_id: "brief",
    key_alias: "of brief",
  });
  const page = await signedIn(key, "#/organizations/acme/teams");
  await page.getByRole("button", { name: "New team" }).click();
  await ask("PATCH", "/organization/member_update", {
    organization_id: "acme",
    user_id: "brief",
    role: "internal_user",
  });
  await page.getByRole("dialog").getByLabel("Name").fill("Too late");
  await page.getByRole("dialog").getByRole("button", { name: "Make" }).click();
  await refused(page, "Your key may not do this. Ask an administrator, or sign in with another key.");
  await ask("DELETE", "/organization/member_delete", { organization_id: "acme", user_id: "brief" });
});

test("lets a team's admin make keys for the team, and change its members", async () => {
  const page = await signedIn(keys.teamAdmin, "#/organizations/acme/keys");
  await page.getByRole("button", { name: "New key" }).click();
  const dialog = page.getByRole("dialog");
  assert.deepEqual(await dialog.getByLabel("Team").locator("option").allInnerTexts(), ["Research"]);
  await dialog.getByLabel("Name").fill("for the team");
  await dialog.getByRole("button", { name: "Make" }).click();
  await dialog.getByLabel("The secret").waitFor();
  await dialog.getByRole("button", { name: "Done" }).click();
  await choose(page, "for the team", "Delete");
  await dialog.getByRole("button", { name: "Delete for ever" }).click();
  await go(page, "#/organizations/acme/teams");
  await choose(page, "Research", "Members");
  await dialog.getByLabel("E-mail address or user identifier").fill("margaret");
  await dialog.getByRole("button", { name: "Add" }).click();
  await dialog.getByRole("button", { name: "Remove margaret@acme.example" }).click();
  await dialog.getByText("margaret@acme.example", { exact: true }).waitFor({ state: "detached" });
});

test("gives the browser nothing to complain of", assertNoComplaints);
