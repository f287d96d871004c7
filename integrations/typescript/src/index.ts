// Ask pg_org before each call of a model, and report afterwards what the call cost. README.md says how to use it.
import { randomUUID } from "node:crypto";
import { appendFile, readFile, rename, rm } from "node:fs/promises";

import type { operations } from "./api.js";

type Sent<Name extends keyof operations> = operations[Name] extends {
  requestBody: { content: { "application/json": infer Fields } };
}
  ? Fields
  : never;
type Received<Name extends keyof operations> = operations[Name] extends {
  responses: { 200: { content: { "application/json": infer Reply } } };
}
  ? Reply
  : never;

/** US dollars; as text if each of its digits counts. */
export type Money = number | string;
type WithMoney<Fields, Name extends string> = Omit<Fields, Name> & { [Field in Name]: Money };

export type ReserveFields = WithMoney<Sent<"usage_reserve">, "max_cost">;
export type SettleFields = WithMoney<Sent<"usage_settle">, "cost">;
export type RecordFields = WithMoney<Sent<"usage_record">, "cost">;
export type CancelFields = Sent<"usage_cancel">;
export type ExtendFields = Sent<"usage_extend">;
export type Reservation = Received<"usage_reserve">;
export type SettledCall = Received<"usage_settle">;
export type RecordedCall = Received<"usage_record">;
export type CancelledCall = Received<"usage_cancel">;
export type ExtendedCall = Received<"usage_extend">;
export type Tokens = Pick<
  SettleFields,
  "prompt_tokens" | "completion_tokens" | "cache_read_input_tokens" | "cache_creation_input_tokens"
>;
type Outcome = SettleFields & { request_id: string };

/** pg_org's answer is no: status, JSON and Retry-After, to be passed on to the user as they are. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly body: any,
    readonly retryAfter: string | null,
  ) {
    super(body?.error?.message ?? JSON.stringify(body));
  }
}

/** There was no answer, however often pg_org was asked: it may or may not have carried out the request. */
export class Unanswered extends Error {}

/** To be thrown in a call if the provider did not receive the request, or charged nothing for it. */
export class NotSent extends Error {}

/** Never used twice. It begins with the time, because such ids are looked up faster in a large ledger. */
export function newRequestId(): string {
  return `${Date.now().toString(16).padStart(12, "0")}-${randomUUID()}`;
}

export interface Settings {
  /** Milliseconds to wait for one answer. */
  timeout?: number;
  /** Milliseconds between the tries. */
  pauses?: number[];
  /** The file that keeps the costs that could not be reported; each process needs a file of its own. */
  unreported?: string;
}

/** Sends requests to pg_org until there is an answer. */
export class Client {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #timeout: number;
  readonly #pauses: number[];
  readonly #unreported: string;

  constructor(url: string, key: string, settings: Settings = {}) {
    this.#url = url.replace(/\/$/, "");
    this.#headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    this.#timeout = settings.timeout ?? 15_000;
    this.#pauses = settings.pauses ?? [100, 500, 2000, 5000];
    this.#unreported = settings.unreported ?? "unreported.jsonl";
  }

  /** Ask whether a call may be made, and hold its cost. Give it a request_id, or a lost answer holds twice. */
  reserve(fields: ReserveFields): Promise<Reservation> {
    return this.#ask("reserve", fields);
  }

  /** Report what a finished call cost. */
  settle(fields: SettleFields): Promise<SettledCall> {
    return this.#ask("settle", fields);
  }

  /** Report that a call was not made. */
  cancel(fields: CancelFields): Promise<CancelledCall> {
    return this.#ask("cancel", fields);
  }

  /** Keep the hold of a call that lasts longer. */
  extend(fields: ExtendFields): Promise<ExtendedCall> {
    return this.#ask("extend", fields);
  }

  /** Report a call that was never reserved. */
  record(fields: RecordFields): Promise<RecordedCall> {
    return this.#ask("record", fields);
  }

  /**
   * Makes one call of a model: reserved before the work, and over after it.
   *
   * The work settles what the call cost. If it doesn't, because of an error, the call is cancelled where that is
   * NotSent, and otherwise settled as failed, with max_cost, because it may have cost that much. With extended, the
   * hold is extended at half of its time for as long as the work takes, so that a crash frees the room soon.
   */
  async call<Result>(
    { extended = false, ...fields }: ReserveFields & { extended?: boolean },
    work: (call: Call) => Promise<Result>,
  ): Promise<Result> {
    const { request_id, ttl_seconds } = fields;
    const reserved = { ...fields, request_id: request_id ?? newRequestId(), ttl_seconds: ttl_seconds ?? 600 };
    const { model } = await this.reserve(reserved);
    const call = new Call(this, model, reserved);
    const timer = extended && setInterval(() => this.#extend(call, reserved.ttl_seconds), reserved.ttl_seconds * 500);
    try {
      return await work(call);
    } catch (error) {
      if (error instanceof NotSent && !call.isOver) await call.cancel();
      throw error;
    } finally {
      if (timer) clearInterval(timer);
      if (!call.isOver) await call.settle(fields.max_cost, { failed: true });
    }
  }

  /**
   * Report the costs that could not be reported before, and count those that still could not be. Call it when the
   * program starts, and now and then, but not twice at the same time: it is never too late.
   */
  async sendUnreported(): Promise<number> {
    const beingSent = `${this.#unreported}.being_sent`;
    const read = () => readFile(beingSent, "utf8").catch(ignoreMissing);
    let text = await read(); // of an earlier run, which was interrupted
    if (text === undefined) {
      await rename(this.#unreported, beingSent).catch(ignoreMissing);
      text = await read();
    }
    let remaining = 0;
    for (const line of text?.split("\n") ?? []) if (line && !(await this.report(JSON.parse(line)))) remaining++;
    await rm(beingSent, { force: true });
    return remaining;
  }

  /**
   * Settle a call, or else keep its cost to be reported later. A call that is known can also be recorded.
   * @internal
   */
  async report(outcome: Outcome, call?: Omit<RecordFields, "cost">): Promise<boolean> {
    try {
      await this.settle(outcome).catch((error) => {
        if (!call || !(error instanceof Refused) || error.status !== 404) throw error;
        return this.record({ ...call, ...outcome }); // a failover has forgotten the reservation
      });
      return true;
    } catch (error) {
      console.error(`pg_org: the cost ${outcome.cost} of ${outcome.request_id} is not reported: ${error}`);
      await appendFile(this.#unreported, `${JSON.stringify(outcome)}\n`);
      return false;
    }
  }

  #extend(call: Call, ttl_seconds: number): void {
    this.extend({ request_id: call.requestId, ttl_seconds }).catch((error) => {
      if (!call.isOver) console.error(`pg_org: the hold of ${call.requestId} is not extended: ${error.message}`);
    });
  }

  // Ask until there is an answer. Repeating is safe, because each call has a request_id.
  async #ask(path: string, fields: object): Promise<any> {
    let problem: unknown;
    for (const pause of [...this.#pauses, undefined]) {
      try {
        const reply = await fetch(`${this.#url}/usage/${path}`, {
          method: "POST",
          headers: this.#headers,
          body: JSON.stringify(fields),
          signal: AbortSignal.timeout(this.#timeout),
        });
        const body = await reply.json();
        if (reply.ok) return body;
        if (reply.status < 500) throw new Refused(reply.status, body, reply.headers.get("Retry-After"));
        problem = `it replied ${reply.status}`;
      } catch (error) {
        if (error instanceof Refused) throw error;
        problem = error; // not reached, or cut off: the request may or may not have been carried out
      }
      if (pause !== undefined) await new Promise((resolve) => setTimeout(resolve, pause));
    }
    throw new Unanswered(`pg_org does not answer to ${path}: ${problem}`);
  }
}

/** A call of a model that may be made. */
export class Call {
  readonly requestId: string;
  #over = false;

  /** @internal */
  constructor(
    readonly client: Client,
    /** The one to call: aliases are resolved. */
    readonly model: string,
    private readonly reserved: ReserveFields & { request_id: string },
  ) {
    this.requestId = reserved.request_id;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Report what the call cost. What can't be reported now is kept. */
  async settle(cost: Money, outcome: Tokens & { failed?: boolean } = {}): Promise<void> {
    this.#end();
    const { key, token_id, model, tags, end_user } = this.reserved;
    const call = { key, token_id, model, tags, end_user };
    await this.client.report({ request_id: this.requestId, cost, ...outcome }, call);
  }

  /** Report that the call was not made, and cost nothing. */
  async cancel(): Promise<void> {
    this.#end();
    await this.client.cancel({ request_id: this.requestId }).catch(() => {}); // the hold expires by itself
  }

  #end(): void {
    if (this.#over) throw new Error(`the call ${this.requestId} is over already`);
    this.#over = true;
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
