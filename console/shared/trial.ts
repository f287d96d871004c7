// Tries a limit before it is saved: adds up the calls that the ledger has in its current window.  That is for the
// reader to judge; what holds is what the database says.
import { data, GET, type Limit, type LoggedCall } from "./api";
import { splitWindow } from "./sentence";

export interface Owner {
  organization_id?: string; // of none for what belongs to the platform
  team_id?: string;
  user_id?: string;
  api_key?: string; // a token_id
}

export interface Part {
  name: string;
  amount: number;
}

export interface Trial {
  over: Part[]; // the highest first
  highest?: Part;
  calls: number;
  isCut: boolean; // there are more calls than were added up
  begins: "window" | "now"; // whether what was spent before it is saved will count
  since: string;
}

const pageSize = 1000;
const maxPages = 10;

// The day that it is in a time zone, as a Date at midnight of UTC.
function today(zone: string): Date {
  const isOffset = /^[+-]/.test(zone);
  const timeZone = zone && !isOffset ? zone : "UTC";
  const [hours = 0, minutes = 0] = isOffset ? zone.slice(1).split(":").map(Number) : [];
  const shift = (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
  return new Date(new Intl.DateTimeFormat("en-CA", { timeZone }).format(Date.now() + shift) + "T00:00:00Z");
}

const dayOf = (time: Date) => time.toISOString().slice(0, 10);

function firstDay(length: string, now: Date): Date | undefined {
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth()];
  switch (length) {
    case "1d":
      return now;
    case "1w":
      return new Date(now.getTime() - ((now.getUTCDay() + 6) % 7) * 86400_000);
    case "1mo":
      return new Date(Date.UTC(year, month, 1));
    case "1q":
      return new Date(Date.UTC(year, month - (month % 3), 1));
    case "1y":
      return new Date(Date.UTC(year, 0, 1));
    default:
      return undefined;
  }
}

const seconds: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400, w: 7 * 86400, mo: 30 * 86400 };

interface Span {
  start_date: string;
  end_date: string;
  timezone?: string;
  begins: Trial["begins"];
}

function spanOf(per: string): Span {
  const { length, zone } = splitWindow(per);
  const time = (moment: number) => new Date(moment).toISOString().slice(0, 19).replace("T", " ");
  const now = Date.now();
  const first = firstDay(length, today(zone));
  if (first)
    return {
      start_date: dayOf(first),
      end_date: dayOf(today(zone)),
      ...(zone && { timezone: zone }),
      begins: "window",
    };
  const [, many = "30", unit = "d"] = /^(\d+)(s|m|h|d|w|mo)$/.exec(length) ?? [];
  const width = Number(many) * seconds[unit]! * 1000;
  if ("smh".includes(unit)) return { start_date: time(now - (now % width)), end_date: time(now), begins: "window" };
  return { start_date: time(now - width), end_date: time(now), begins: "now" };
}

// A name means that model of any provider, and * anything.
function covers(model: string, called: string): boolean {
  const pattern = model.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*");
  return new RegExp(model.includes("/") ? `^${pattern}$` : `^([^/]*/)?${pattern}$`).test(called);
}

const partsOf: Record<string, (call: LoggedCall) => (string | null | undefined)[]> = {
  end_user: (call) => [call.end_user],
  member: (call) => [call.user],
  key: (call) => [call.api_key],
  team: (call) => [call.team_id],
  model: (call) => [call.model],
  tag: (call) => call.request_tags,
};

const amounts: Record<string, (call: LoggedCall) => number> = {
  cost: (call) => call.spend,
  tokens: (call) => call.total_tokens,
  requests: () => 1,
};

async function callsIn(span: Span, owner: Owner): Promise<{ calls: LoggedCall[]; isCut: boolean }> {
  const { begins: _, ...dates } = span;
  const calls: LoggedCall[] = [];
  let after: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const query = { ...owner, ...dates, limit: pageSize, summarize: false, after };
    const found = (await data(GET("/spend/logs", { params: { query } }))) as LoggedCall[];
    calls.push(...found);
    if (found.length < pageSize) return { calls, isCut: false };
    after = found.at(-1)!.request_id;
  }
  return { calls, isCut: true };
}

// Nothing for parallel requests, which the ledger does not tell of.
export async function tryLimit(limit: Limit, owner: Owner): Promise<Trial | null> {
  const amount = amounts[limit.limit];
  if (!amount) return null;
  const span = spanOf(limit.per ?? "");
  const { calls, isCut } = await callsIn(span, owner);
  const sums = new Map<string, number>();
  for (const call of calls) {
    if (limit.model && !covers(limit.model, call.model)) continue;
    if (limit.tag && !call.request_tags.includes(limit.tag)) continue;
    for (const part of limit.each ? partsOf[limit.each]!(call) : ["All together"])
      if (part) sums.set(part, (sums.get(part) ?? 0) + amount(call));
  }
  const parts = [...sums].map(([name, sum]) => ({ name, amount: sum })).sort((a, b) => b.amount - a.amount);
  const raised = limit.value + (limit.raise?.amount ?? 0);
  return {
    over: parts.filter((part) => part.amount >= raised),
    highest: parts[0],
    calls: calls.length,
    isCut,
    begins: span.begins,
    since: span.start_date,
  };
}
