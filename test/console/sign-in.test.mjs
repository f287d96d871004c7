// Signing in and out, and where the key is kept meanwhile.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, assertNoComplaints, go, keys, open, refused, signedIn, signIn } from "./reader.mjs";

const kept = (page) =>
  page.evaluate(() => JSON.stringify([Object.values(localStorage), Object.values(sessionStorage)]));
const cookies = (page) => page.context().cookies();

test("takes no wrong key", async () => {
  const page = await open();
  await signIn(page, "sk-wrong");
  await refused(page, "Invalid proxy server token");
  assert.equal(await page.getByLabel("API key").inputValue(), "sk-wrong");
});

test("tells whose the key is and what role it has", async () => {
  const roles = {
    admin: ["default_user_id", "Platform admin"],
    viewer: ["vera@example.com", "Platform viewer"],
    orgAdmin: ["ada@acme.example", "Organization admin of Acme"],
    teamAdmin: ["grace@acme.example", "Member of Acme"],
    member: ["linus@acme.example", "Member of Acme"],
    memberViewer: ["vic@acme.example", "Member, reads only of Acme"],
    ofTeam: ["product search", "Key of Acme"],
  };
  for (const [name, [who, role]] of Object.entries(roles)) {
    const page = await signedIn(keys[name]);
    const banner = page.getByRole("banner");
    await banner.getByText(who, { exact: true }).waitFor();
    await banner.getByText(role, { exact: true }).waitFor();
    await page.close();
  }
});

test("keeps the key in memory only, and never in an address", async () => {
  const page = await signedIn(keys.orgAdmin);
  const addresses = [];
  page.on("request", (request) => addresses.push(request.url()));
  await page.getByRole("link", { name: "Acme" }).click();
  await page.getByRole("heading", { name: "Acme" }).waitFor();
  assert.ok(!(await kept(page)).includes(keys.orgAdmin));
  assert.deepEqual(await cookies(page), []);
  for (const address of [...addresses, page.url()]) assert.ok(!address.includes(keys.orgAdmin), address);
  await page.reload();
  await page.getByLabel("API key").waitFor();
  assert.equal(await page.getByLabel("API key").inputValue(), "");
});

test("remembers the key on the device if asked to, until signed out", async () => {
  const page = await open();
  await signIn(page, keys.member, { remember: true });
  await page.getByRole("heading", { name: "My keys and limits" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "My keys and limits" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  assert.ok(!(await kept(page)).includes(keys.member));
  await page.reload();
  await page.getByLabel("API key").waitFor();
});

test("goes back to signing in when the key is refused later", async () => {
  const { key, token_id } = await ask("POST", "/key/generate", {
    organization_id: "acme",
    user_id: "vic",
    key_alias: "brief",
  });
  const page = await open();
  await signIn(page, key, { remember: true });
  await page.getByRole("button", { name: "Sign out" }).waitFor();
  await ask("POST", "/key/block", { key: token_id });
  await go(page, "#/organizations");
  await refused(page, "Your key is not accepted any more.");
  assert.ok(!(await kept(page)).includes(key));
  await ask("POST", "/key/delete", { keys: [token_id] });
});

test("gives the browser nothing to complain of", assertNoComplaints);
