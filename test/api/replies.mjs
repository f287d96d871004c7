// Checks recorded replies against the OpenAPI document among them: each has every field that is described, of its type,
// and no other.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

import Ajv from "ajv/dist/2020.js";

const replies = [];
for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) replies.push(JSON.parse(line));
const document = replies.filter(({ route, status }) => route === "GET /openapi.json" && status === 200).at(-1)?.body;
if (!document) throw new Error("there is no OpenAPI document among the replies");

const close = (schema) => {
  if (schema === null || typeof schema !== "object") return;
  if (schema.properties) schema.additionalProperties ??= false;
  Object.values(schema).forEach(close);
};
Object.values(document.components.schemas).forEach(close);
const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true }).addSchema(document, "document");

const operations = Object.entries(document.paths).map(([path, methods]) => ({
  path, methods, fits: new RegExp(`^${path.replaceAll(".", "[.]").replace(/\{[^}]*\}/g, "[^/]+")}$`),
}));
const place = (...steps) =>
  `document#/${steps.map((step) => encodeURIComponent(step.replaceAll("~", "~0").replaceAll("/", "~1"))).join("/")}`;

// Where the schema of a reply is; null if none is described for it.
const schemaOf = ({ route, status }) => {
  const [method, target] = route.split(" ");
  const path = target.split("?")[0];
  const operation = operations.find((known) => known.path === path) ?? operations.find(({ fits }) => fits.test(path));
  const responses = operation?.methods[method.toLowerCase()]?.responses ?? {};
  const as = [String(status), "default"].find((name) => name in responses);
  return responses[as]?.content?.["application/json"]?.schema
    ? place("paths", operation.path, method.toLowerCase(), "responses", as, "content", "application/json", "schema")
    : null;
};

const problems = new Map(); // by route and error: an example
const described = new Set();
let checked = 0;
for (const reply of replies.filter(({ route }) => !/^GET [/](openapi[.]json|docs)/.test(route))) {
  const name = `${reply.route.split("?")[0]} ${reply.status}`;
  const schema = schemaOf(reply);
  if (!schema) {
    if (reply.status === 200) problems.set(`${name}: not described`, reply.body);
    continue;
  }
  checked += 1;
  described.add(schema);
  const fits = ajv.getSchema(schema);
  if (!fits(reply.body))
    for (const { instancePath, message, params } of fits.errors)
      problems.set(`${name}: ${instancePath.replace(/[0-9]+/g, "n")} ${message} ${params.additionalProperty ?? ""}`,
                   reply.body);
}
for (const [problem, body] of problems) console.error(`${problem}\n    ${JSON.stringify(body).slice(0, 300)}`);
console.log(`${checked} replies checked against ${described.size} descriptions, ${problems.size} problems.`);
if (!checked || problems.size) process.exitCode = 1;
