// The OpenAPI document: valid, complete, and true as far as its examples go.
import assert from "node:assert/strict";
import { test } from "node:test";

import Ajv from "ajv/dist/2020.js";
import { Validator } from "@seriousme/openapi-schema-validator";

import { bodyOf, document, exampleRequest, get, operationOf, operations, requestOf, send } from "./gateway.mjs";

const resolved = (part) =>
  part.$ref ? part.$ref.split("/").slice(1).reduce((place, name) => place[name], document) : part;

// Whether a text is JSON as a schema of the document has it.
const ajv = new Ajv({ strict: false }).addSchema(document, "document");
const fits = (name, text) => ajv.validate(`document#/components/schemas/${name}`, JSON.parse(text));

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

test("has the key's headers as security schemes, and leaves out where none is needed", () => {
  const names = Object.values(document.components.securitySchemes).map(({ scheme, name }) => scheme ?? name);
  assert.deepEqual(names.sort(), ["API-Key", "bearer", "x-api-key", "x-goog-api-key", "x-litellm-api-key"]);
  for (const { path, operation } of operations)
    assert.equal(operation.security?.length === 0, !("401" in operation.responses), path);
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

test("is not sent again to those who have it", async () => {
  const first = await get("/openapi.json");
  const second = await get("/openapi.json", { "If-None-Match": first.headers.get("etag") });
  assert.equal(second.status, 304);
  assert.equal(await second.text(), "");
  assert.equal((await get("/openapi.json", { "If-None-Match": '"another"' })).status, 200);
});

// Of the fields that v2's patch has it is told nowhere but here which they are.
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

// What is made by one is named by others: makers come first, and what takes things away comes last.
const first = ["/user/new", "/budget/new", "/organization/new", "/organization/member_add", "/team/new",
               "/team/member_add", "/key/generate", "/usage/reserve"];
const last = ["/usage/cancel", "/usage/settle", "/key/regenerate", "/key/delete", "/team/member_delete",
              "/organization/member_delete", "/team/delete", "/user/delete", "/organization/delete", "/budget/delete"];
const rank = ({ path }) => (first.includes(path) ? first.indexOf(path) - first.length : last.indexOf(path) + 1);

test("has examples that work, one after the other", async () => {
  for (const operation of [...operations].sort((a, b) => rank(a) - rank(b))) {
    const { status, headers, text } = await send(exampleRequest(operation));
    assert.equal(status, 200, `${operation.method} ${operation.path}: ${text}`);
    const [type] = headers.get("content-type").split(";");
    const known = operation.operation.responses["200"].content;
    assert.ok(type in known || "*/*" in known, `${operation.path}: ${type}`);
    const names = Object.keys(operation.operation.responses["200"].headers).map((name) => name.toLowerCase());
    for (const name of ["etag", "link"])
      if (headers.has(name))
        assert.ok(names.includes(name), `${operation.path}: ${name}`);
  }
});
