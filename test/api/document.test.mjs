// The OpenAPI document: valid, complete, and true as far as its examples go.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import Ajv from "ajv/dist/2020.js";
import { Validator } from "@seriousme/openapi-schema-validator";

import { adminKey, bodyOf, document, exampleRequest, get, operationOf, operations, requestOf, send } from "./gateway.mjs";

const resolved = (part) =>
  part.$ref ? part.$ref.split("/").slice(1).reduce((place, name) => place[name], document) : part;

// The document, with a place for every field: replies have no others.
const complete = structuredClone(document);
for (const schema of Object.values(complete.components.schemas))
  if (schema.properties) schema.additionalProperties = false;
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true }).addSchema(complete, "document");

// The differences between a value and the schema at a place of the document.
const place = (...steps) => `document#/${steps.map((step) => encodeURIComponent(step.replaceAll("/", "~1"))).join("/")}`;
const errors = (value, ...steps) => {
  const fits = ajv.getSchema(place(...steps));
  return fits(value) ? null : ajv.errorsText(fits.errors);
};
const fits = (name, text) => !errors(JSON.parse(text), "components", "schemas", name);
const schemaOfReply = ({ method, path }, status) =>
  ["paths", path, method.toLowerCase(), "responses", status, "content", "application/json", "schema"];

const fieldsOf = ({ operation }) => [
  ...operation.parameters.map(resolved).map(({ name, description, example, schema, in: place }) => ({
    name, description, schema, hasExample: place === "header" || example !== undefined || schema.examples !== undefined,
  })),
  ...Object.entries(operation.requestBody ? bodyOf({ operation }).schema.properties : {}).map(
    ([name, schema]) => ({ name, schema, description: schema.description, hasExample: schema.examples !== undefined }),
  ),
];

test("is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors, null, 1));
  assert.equal(validator.version, "3.1");
});

test("has the routes, all of them and no other", async () => {
  const { routes } = await (await get("/")).json();
  assert.deepEqual(operations.map(({ method, path }) => `${method} ${path}`).sort(), routes.sort());
});

test("has a name of its own, a summary and a family for each operation", () => {
  const ids = operations.map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  const families = new Set(document.tags.map(({ name }) => name));
  for (const { path, operation } of operations) {
    assert.ok(operation.summary, path);
    assert.ok(families.has(operation.tags[0]), path);
  }
});

test("has a type, a description and an example for each field", () => {
  for (const operation of operations)
    for (const { name, schema, description, hasExample } of fieldsOf(operation))
      assert.ok(schema.type && description && hasExample, `${operation.path}: ${name}`);
});

test("has an example of every required field, and of others none that is not a field", () => {
  for (const { path, operation } of operations.filter(({ operation }) => operation.requestBody)) {
    const { schema, example } = bodyOf({ operation });
    for (const name of schema.required ?? []) assert.ok(name in example, `${path}: ${name}`);
    for (const name in example) assert.ok(name in schema.properties, `${path}: ${name}`);
  }
});

test("has a type and a description for each field of a reply", () => {
  for (const [thing, { description, properties }] of Object.entries(document.components.schemas)) {
    if (["Error", "ErrorDetail", "FieldErrors"].includes(thing)) continue;
    assert.ok(description, thing);
    for (const [name, schema] of Object.entries(properties))
      assert.ok(schema.description && (schema.type || schema.$ref || schema.oneOf), `${thing}: ${name}`);
  }
});

test("fills in no filter beforehand", () => {
  for (const { path, operation } of operations)
    for (const { name, in: place, required, example } of operation.parameters.map(resolved))
      assert.equal(place !== "header" && example !== undefined, required === true, `${path}: ${name}`);
});

test("offers one way to send a key, and leaves it out where none is needed", async () => {
  const { bearer, ...others } = document.components.securitySchemes;
  assert.deepEqual(others, {});
  for (const header of ["x-litellm-api-key", "API-Key", "x-api-key", "x-goog-api-key"]) {
    assert.ok(bearer.description.includes(header));
    const { status } = await send({ ...requestOf("user_list"), headers: { [header]: adminKey } });
    assert.equal(status, 200, header);
  }
  for (const { path, operation } of operations.filter(({ operation }) => operation.operationId !== "sso_key"))
    assert.equal(operation.security?.length === 0, !("401" in operation.responses), path);
  assert.deepEqual(operationOf("sso_key").operation.security, []); // an id token takes its place
});

test("has an example of every refusal that is one of that status", () => {
  for (const operation of operations)
    for (const [status, { content }] of Object.entries(operation.operation.responses)) {
      const example = content?.["application/json"]?.example;
      if (status === "200" || !example) continue;
      assert.equal(errors(example, ...schemaOfReply(operation, status)), null, `${operation.path}: ${status}`);
      assert.equal(example.error?.code ?? status, status, operation.path);
    }
});

test("shows how a request without a key is refused", async () => {
  const { example } = operationOf("org_info").operation.responses["401"].content["application/json"];
  const { text } = await send({ ...requestOf("org_info"), headers: {} });
  assert.deepEqual(JSON.parse(text), example);
});

test("has its three error bodies", async () => {
  const shapes = {
    Error: await send({ ...requestOf("org_info"), headers: {} }),
    ErrorDetail: await send({ ...requestOf("org_block"), body: '{"organization_id": "nobody"}' }),
    FieldErrors: await send({ ...requestOf("org_new"), body: '{"organization_alias": [5]}' }),
  };
  for (const [name, { text }] of Object.entries(shapes)) {
    assert.deepEqual(Object.keys(document.components.schemas).filter((name) => fits(name, text)), [name], text);
  }
});

test("describes the limit that a call exceeds", async () => {
  await send({ ...requestOf("key_generate"), body: '{"key": "sk-of-little-money", "max_budget": 1}' });
  const { status, text } = await send({ ...requestOf("usage_reserve"),
                                        body: '{"key": "sk-of-little-money", "model": "gpt-4o", "max_cost": 2}' });
  assert.equal(status, 429, text);
  assert.equal(errors(JSON.parse(text), ...schemaOfReply(operationOf("usage_reserve"), "429")), null);
});

test("is not sent again to those who have it", async () => {
  const first = await get("/openapi.json");
  const second = await get("/openapi.json", { "If-None-Match": first.headers.get("etag") });
  assert.equal(second.status, 304);
  assert.equal(await second.text(), "");
  assert.equal((await get("/openapi.json", { "If-None-Match": '"another"' })).status, 200);
});

// Only this test lists the fields that the patch of v2 has.
test("has the fields of a merge patch, each of which is taken", async () => {
  await send({ ...requestOf("org_new"), body: '{"organization_alias": "Patched", "organization_id": "patched"}' });
  const patch = requestOf("org_patch");
  const patchable = bodyOf(operationOf("org_patch")).schema.properties;
  for (const [name, { examples }] of Object.entries(bodyOf(operationOf("org_update")).schema.properties)) {
    const { status, text } = await send({ ...patch, url: patch.url.replace("acme", "patched"),
                                          body: JSON.stringify({ [name]: examples[0] }) });
    assert.equal(status, name in patchable ? 200 : 422, `${name}: ${text}`);
  }
});

// Requests use things that others create: creating requests come first, deleting ones last.
const { order } = JSON.parse(readFileSync(new URL("../../gateway/openapi.json", import.meta.url)));
const rank = ({ operation: { operationId } }) => order.first.includes(operationId)
  ? order.first.indexOf(operationId) - order.first.length : order.last.indexOf(operationId) + 1;

// All filters of a list but where a page begins (by number, if it has numbers), with their examples.
const filters = ({ method, operation }) => method !== "GET" ? {} : Object.fromEntries(
  operation.parameters.map(resolved)
    .filter(({ name, in: place, schema }, _, all) => place === "query" && name !== "after" && schema.examples
      && !(name === "limit" && all.some((other) => other.name === "page")))
    .map(({ name, schema }) => [name, schema.examples[0]]));

// Identifiers of entries of the audit log can't be chosen, so that an example can't have one that exists.
async function existing({ operation, ...rest }) {
  if (operation.operationId !== "audit_info") return { operation, ...rest };
  const { id } = JSON.parse((await send(requestOf("audit_list"))).text).audit_logs[0];
  const parameters = operation.parameters.map((one) => one.name === "id" ? { ...one, example: id } : one);
  return { operation: { ...operation, parameters }, ...rest };
}

test("has examples that work, one after the other, and describes the replies", async () => {
  // This gateway has no issuer of id tokens.
  const tried = operations.filter(({ operation }) => operation.operationId !== "sso_key");
  for (const operation of tried.sort((a, b) => rank(a) - rank(b))) {
    for (const further of [{}, filters(operation)]) {
      const { status, headers, text } = await send(exampleRequest(await existing(operation), further));
      assert.equal(status, 200, `${operation.method} ${operation.path}: ${text}`);
      const [type] = headers.get("content-type").split(";");
      const known = operation.operation.responses["200"].content;
      assert.ok(type in known || "*/*" in known, `${operation.path}: ${type}`);
      if (type === "application/json" && type in known)
        assert.equal(errors(JSON.parse(text), ...schemaOfReply(operation, "200")), null, operation.path);
      const names = Object.keys(operation.operation.responses["200"].headers).map((name) => name.toLowerCase());
      for (const name of ["etag", "link"])
        if (headers.has(name))
          assert.ok(names.includes(name), `${operation.path}: ${name}`);
      if (!Object.keys(filters(operation)).length) break;
    }
  }
});

// They are of days that may not be those of the example.
test("describes the activity of a day", async () => {
  const operation = operationOf("org_daily_activity");
  const { url, ...request } = exampleRequest(operation);
  const { text } = await send({ ...request, url: url.replace(/start_date=[^&]*/, "start_date=2026-01-01")
                                                     .replace(/end_date=[^&]*/, "end_date=2999-12-31") });
  const activity = JSON.parse(text);
  assert.equal(activity.results.length, 1, text);
  assert.equal(errors(activity, ...schemaOfReply(operation, "200")), null);
});
