// Events: those since a time, and then each as it comes.
import { authorization, base, data, GET, type Event } from "./api";

// The last event before a time.  Their numbers grow with time, so that it takes some thirty short requests.
async function lastBefore(organizationId: string, time: Date): Promise<number> {
  const isBefore = async (after: number) => {
    const query = { organization_id: organizationId, after, limit: 1 };
    const [event] = await data(GET("/events", { params: { query } }));
    return event !== undefined && new Date(event.occurred_at) < time;
  };
  if (!(await isBefore(0))) return 0;
  let low = 0;
  let high = 1024;
  while (await isBefore(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await isBefore(middle)) low = middle;
    else high = middle;
  }
  return high;
}

const maxEvents = 2000;

export interface EventsSince {
  events: Event[]; // the oldest first
  isCut: boolean; // there are later ones
}

export async function eventsSince(organizationId: string, time: Date): Promise<EventsSince> {
  const events: Event[] = [];
  for (let after = await lastBefore(organizationId, time); events.length < maxEvents;) {
    const query = { organization_id: organizationId, after, limit: 1000 };
    const page = await data(GET("/events", { params: { query } }));
    events.push(...page);
    if (page.length < 1000) return { events, isCut: false };
    after = page.at(-1)!.event_id;
  }
  return { events, isCut: true };
}

export type Liveness = "connecting" | "live" | "waiting";

const patience = 5000; // before another attempt

// Calls back for each event after `after`, until the signal ends it.  The browser's own EventSource sends no key.
export async function follow(
  organizationId: string,
  after: number,
  signal: AbortSignal,
  onEvent: (event: Event) => void,
  onLiveness: (liveness: Liveness) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const url = `${base}/events?organization_id=${encodeURIComponent(organizationId)}&after=${after}`;
      const headers = { ...authorization(), Accept: "text/event-stream" };
      const response = await fetch(url, { headers, signal, cache: "no-store" });
      if (response.ok && response.body) {
        onLiveness("live");
        for await (const event of messages(response.body)) {
          after = event.event_id;
          onEvent(event);
        }
      }
    } catch {
      // tried again below
    }
    if (signal.aborted) return;
    onLiveness("waiting");
    await new Promise((resolve) => setTimeout(resolve, patience));
  }
}

async function* messages(body: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop()!;
    for (const block of blocks) {
      const json = block.split("\n").find((line) => line.startsWith("data: "));
      if (json) yield JSON.parse(json.slice("data: ".length)) as Event;
    }
  }
}
