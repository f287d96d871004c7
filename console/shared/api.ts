// The gateway's routes, with their types, and what a refusal says.
import createClient from "openapi-fetch";
import type { Readable } from "openapi-typescript-helpers";

import type { components, paths } from "../dist/openapi";

type Schemas = components["schemas"];
export type Organization = Readable<Schemas["Organization"]>;
export type Member = Readable<Schemas["OrganizationMember"]>;
export type Budget = Readable<Schemas["Budget"]>;
export type Team = Readable<Schemas["ListedTeam"]>;
export type Key = Readable<Schemas["Key"]>;
export type KeyWithUser = Readable<Schemas["KeyWithUser"]>;
export type User = Readable<Schemas["User"]>;
export type Activity = Readable<Schemas["Activity"]>;
export type AuditEntry = Readable<Schemas["AuditEntry"]>;
export type Event = Readable<Schemas["Event"]>;
export type LimitState = Readable<Schemas["LimitState"]>;
export type TriedLimit = Readable<Schemas["TriedLimit"]>;

export interface Limit {
  limit: string;
  value: number;
  per?: string;
  model?: string;
  tag?: string;
  each?: string;
  soft?: boolean;
  raise?: { amount: number; until: string };
  since?: string;
}

// Relative to the page, for the sake of proxies that serve it below a prefix.
export const base = new URL(".", location.href).href.replace(/\/$/, "");

const client = createClient<paths, "application/json">({ baseUrl: base, cache: "no-store" });

let key = "";
let refusedKey: () => void = () => {};

// Sets the key of all further requests, and what to do when it is not accepted any more.
export function sendKey(secret: string, whenRefused: () => void = refusedKey): void {
  key = secret;
  refusedKey = whenRefused;
}

export const authorization = () => ({ Authorization: `Bearer ${key}` });

client.use({
  onRequest({ request }) {
    if (key) request.headers.set("Authorization", `Bearer ${key}`);
  },
});

// Why a request was not carried out, in words for the reader.
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly advice: string,
    readonly type = "",
  ) {
    super(message);
  }
}

const advices: Record<number, string> = {
  0: "Check the network connection, and that the gateway runs. Then try again.",
  401: "Your key may not do this. Ask an administrator, or sign in with another key.",
  403: "Your key may not do this. Ask an administrator, or sign in with another key.",
  404: "Somebody may have deleted it. Go back to the list and load it again.",
  409: "Choose another name or identifier, or remove what uses this first.",
  412: "Somebody else has changed it meanwhile. Compare, then save again.",
  422: "Correct the field, then save again.",
  500: "This is a defect of pg_org: report it with the request identifier.",
  503: "The database is away or busy. Try again in a few seconds.",
  504: "The database took too long. Try again in a few seconds.",
};

interface ErrorBody {
  error?: { message?: string; type?: string; param?: string; hint?: string };
  detail?: string | { error?: string; hint?: string } | { loc: (string | number)[]; msg: string; hint?: string }[];
}

function refusalOf(response: Response, body: unknown): Refusal {
  const { error, detail } = (body ?? {}) as ErrorBody;
  const { status } = response;
  let message = response.statusText || `Status ${status}`;
  let hint = "";
  if (Array.isArray(detail)) {
    message = detail.map(({ loc, msg }) => (msg.startsWith('"') ? msg : `"${loc.at(-1)}": ${msg}`)).join("; ");
    hint = detail[0]?.hint ?? "";
  } else if (detail && typeof detail === "object") {
    message = detail.error ?? message;
    hint = detail.hint ?? "";
  } else if (error) {
    message = error.message ?? message;
    hint = error.hint ?? "";
  } else if (typeof detail === "string") {
    message = detail;
  }
  const advice = hint || (advices[status] ?? "Change the request, then try again.");
  const id = status >= 500 ? ` Request identifier: ${response.headers.get("x-request-id") ?? "unknown"}` : "";
  return new Refusal(status, message, advice + id, error?.type ?? "");
}

interface Exchange<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

export interface Page<T> {
  data: T;
  etag: string;
  next: string; // what `after` takes for the next page; empty on the last one
}

// The reply of a request, with what its headers tell; throws a Refusal.
export async function whole<T>(exchange: Promise<Exchange<T>>): Promise<Page<T>> {
  let reply: Exchange<T>;
  try {
    reply = await exchange;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, "The gateway can't be reached.", advices[0]!);
  }
  const { response, data, error } = reply;
  if (!response.ok) {
    const refusal = refusalOf(response, error);
    if (refusal.type === "auth_error" || refusal.type === "expired_key") refusedKey();
    throw refusal;
  }
  const link = /<([^>]*)>; rel="next"/.exec(response.headers.get("Link") ?? "")?.[1] ?? "";
  const next = new URLSearchParams(link.split("?")[1] ?? "").get("after") ?? "";
  return { data: data as T, etag: response.headers.get("ETag") ?? "", next };
}

export const data = async <T>(exchange: Promise<Exchange<T>>): Promise<T> => (await whole(exchange)).data;

export const { GET, POST, PATCH, DELETE } = client;
