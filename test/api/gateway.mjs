// The gateway under test, as test/with-gateway made it.
export const url = process.env.PG_ORG_URL;
export const adminKey = process.env.PG_ORG_ADMIN_KEY;

export const get = (path, headers = {}) => fetch(url + path, { headers });

export const document = await (await get("/openapi.json")).json();

// Each as its method, path and what the document says of it.
export const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

export const operationOf = (id) => operations.find(({ operation }) => operation.operationId === id);

export const bodyOf = ({ operation }) => operation.requestBody.content["application/json"];

// The request that an operation's examples make, and further parameters.
export function exampleRequest({ method, path, operation }, further = {}) {
  const query = new URLSearchParams(further);
  for (const { name, in: place, example } of operation.parameters) {
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(example));
    else if (place === "query" && example !== undefined) query.set(name, example);
  }
  const headers = { Authorization: `Bearer ${adminKey}` };
  const body = operation.requestBody && bodyOf({ operation }).example;
  if (body) headers["Content-Type"] = "application/json";
  return { url: `${url}${path}${query.size ? `?${query}` : ""}`, method, headers, body: body && JSON.stringify(body) };
}

export const requestOf = (id) => exampleRequest(operationOf(id));

export async function send({ url, ...request }) {
  const response = await fetch(url, request);
  return { status: response.status, headers: response.headers, text: await response.text() };
}
