// What the gateway serves as the console: small, closed, and made of sources that fit the routes.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import openapiTS, { astToString } from "openapi-typescript";

import { url } from "./reader.mjs";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const get = (path, options) => fetch(url + path, options);
const files = ["/console", "/console/console.js", "/console/console.css"];

test("is at most 250 KB, compressed", async () => {
  const texts = await Promise.all(files.map(async (path) => (await get(path)).arrayBuffer()));
  const size = texts.reduce((sum, text) => sum + gzipSync(Buffer.from(text)).length, 0);
  assert.ok(size <= 250_000, `${size} bytes`);
});

test("lets the browser run and fetch nothing but the gateway's own", async () => {
  for (const path of files) {
    const { status, headers } = await get(path);
    assert.equal(status, 200, path);
    const policy = headers.get("content-security-policy");
    for (const rule of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "connect-src 'self'",
      "frame-ancestors 'none'",
    ])
      assert.ok(policy.split("; ").includes(rule), `${path}: ${rule}`);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("referrer-policy"), "no-referrer");
  }
  const page = await (await get("/console")).text();
  assert.doesNotMatch(page, /<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?:/);
});

test("is not sent again to those who have it, and is the same below a slash", async () => {
  const { headers } = await get("/console/console.js");
  const again = await get("/console/console.js", { headers: { "If-None-Match": headers.get("etag") } });
  assert.equal(again.status, 304);
  const slash = await get("/console/", { redirect: "manual" });
  assert.equal(slash.status, 308);
  assert.equal(slash.headers.get("location"), "../console");
  assert.equal((await get("/console/nothing.js")).status, 404);
});

test("names the licences of what it contains", async () => {
  const text = await (await get("/console/LICENSES")).text();
  for (const name of ["chart.js", "preact", "openapi-fetch"]) assert.match(text, new RegExp(`^${name}: MIT$`, "m"));
});

test("has sources that fit the routes as they are", async () => {
  const types = astToString(await openapiTS(await (await get("/openapi.json")).json()));
  writeFileSync(here("../../console/dist/openapi.d.ts"), types);
  const compiler = here("node_modules/typescript/bin/tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", here("../../console")], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stdout);
});
