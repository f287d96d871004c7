// Names that mean harm, or are merely long, in every field that people fill in: they are shown as text, where they
// belong.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, assertNoComplaints, choose, keys, narrow, picture, said, signedIn } from "./reader.mjs";

const markup = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
const reversed = "\u202egnp.exe\u202c (right to left: שלום)";
const long = "very long name without a break ".repeat(10).replaceAll(" ", "").slice(0, 300);
const names = { markup, reversed, long };

const rows = (page) => page.getByRole("row");

for (const [kind, name] of Object.entries(names))
  test(`shows a name as text wherever it stands: ${kind}`, async () => {
    const id = `hostile-${kind}`;
    const page = await signedIn(keys.admin, "#/organizations");
    await page.getByRole("button", { name: "New organization" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByLabel("Identifier").fill(id);
    await dialog.getByRole("button", { name: "Make" }).click();
    await page.getByRole("heading", { level: 1 }).getByText(name).waitFor();

    const parts = page.getByRole("navigation", { name: /^Parts of/ });
    await parts.getByRole("link", { name: "Members" }).click();
    await page.getByRole("button", { name: "Add a member" }).click();
    await dialog.getByLabel("E-mail address or user identifier").fill(`${name} ${kind}`);
    await dialog.getByRole("button", { name: "Add" }).click();
    await rows(page).getByText(`${name} ${kind}`, { exact: true }).first().waitFor();
    await picture(page, `hostile-${kind}-members`);

    await parts.getByRole("link", { name: "Teams" }).click();
    await page.getByRole("button", { name: "New team" }).click();
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByLabel("Models").fill(name);
    await dialog.getByRole("button", { name: "Make" }).click();
    await rows(page).getByText(name, { exact: true }).first().waitFor();

    await parts.getByRole("link", { name: "Keys" }).click();
    await page.getByRole("button", { name: "New key" }).click();
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByLabel("Team").selectOption({ label: name });
    await dialog.getByRole("button", { name: "Make" }).click();
    await dialog.getByRole("button", { name: "Done" }).click();
    await rows(page).getByText(name, { exact: true }).first().waitFor();
    await picture(page, `hostile-${kind}-keys`);
    await page.getByLabel("Find by its whole name").fill(name);
    await page.getByRole("button", { name: "Find" }).click();
    await rows(page).getByText(name, { exact: true }).first().waitFor();

    await parts.getByRole("link", { name: "Limits" }).click();
    await page.getByRole("button", { name: "Add a limit" }).click();
    await page.getByLabel("How much").fill("5");
    await page.getByLabel("Tag", { exact: true }).fill(name.slice(0, 200));
    await page.getByLabel("Model", { exact: true }).fill(name.slice(0, 200));
    await page.getByRole("button", { name: "Try it" }).click();
    await page.getByText("Nobody would be over it now.").waitFor();
    await page.getByRole("button", { name: "Save the limit" }).click();
    await page.getByRole("list", { name: "Limits" }).getByText(name.slice(0, 200)).first().waitFor();

    await parts.getByRole("link", { name: "Events" }).click();
    await page.getByRole("listitem").getByText(name).first().waitFor();
    await parts.getByRole("link", { name: "Audit log" }).click();
    await page.locator("summary", { hasText: name }).first().click();
    await page.getByRole("region", { name: "Before and after" }).first().waitFor();

    // A call under every name, so that the chart and its legend have them.
    const { token_id } = await ask("POST", "/key/generate", {
      organization_id: id,
      key_alias: `${name.slice(0, 200)}!`,
    });
    await ask("POST", "/usage/record", {
      token_id,
      model: name.slice(0, 200),
      cost: 1,
      end_user: name.slice(0, 200),
    });
    await parts.getByRole("link", { name: "Spend" }).click();
    await page.getByRole("list", { name: "Legend" }).getByText(name.slice(0, 200)).waitFor();
    await picture(page, `hostile-${kind}-spend`);
    assert.equal(await page.locator("img, main script").count(), 0);
    await page.close();

    const small = await signedIn(keys.admin, "#/organizations", narrow);
    await small.getByLabel("Search by name or identifier").fill(id);
    await small.getByRole("link", { name, exact: true }).waitFor();
    assert.ok(await small.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await picture(small, `hostile-${kind}-narrow`);
    await choose(small, name, "Delete");
    await small.getByRole("dialog").getByRole("textbox").fill(name);
    await small.getByRole("button", { name: "Delete for ever" }).click();
    await said(small, name);
    await small.close();
  });

test("runs nothing that a name contains", assertNoComplaints);
