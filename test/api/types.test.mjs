// Types that openapi-typescript makes of the OpenAPI document compile, and name what requests and replies have.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import openapiTS, { astToString } from "openapi-typescript";

import { document } from "./gateway.mjs";

const program = `import type { components, operations } from "./api";

type Organization = components["schemas"]["Organization"];
type Sent = operations["org_new"]["requestBody"]["content"]["application/json"];
type Got = operations["org_new"]["responses"][200]["content"]["application/json"];

export const sent: Sent = { organization_alias: "Acme", max_budget: 100, models: null };
export const spent = (organization: Got): number => organization.spend;
export const limit = ({ litellm_budget_table }: Organization): number | null => litellm_budget_table.max_budget;
// @ts-expect-error: required
export const empty: Sent = {};
// @ts-expect-error: of another type
export const wrong: Sent = { organization_alias: 5 };
// @ts-expect-error: there is no such field
export const unknown = (organization: Organization) => organization.max_bugdet;
`;

test("gives types that compile", async () => {
  const directory = mkdtempSync(join(tmpdir(), "pg_org_types_"));
  try {
    writeFileSync(join(directory, "api.ts"), astToString(await openapiTS(structuredClone(document))));
    writeFileSync(join(directory, "program.ts"), program);
    const compiler = fileURLToPath(new URL("node_modules/typescript/bin/tsc", import.meta.url));
    const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext"];
    const { status, stdout } = spawnSync(process.execPath, [compiler, ...options, join(directory, "program.ts")],
                                         { encoding: "utf8" });
    assert.equal(status, 0, stdout);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
