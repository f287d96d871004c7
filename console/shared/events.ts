// Events: those since a time, and then each as it comes.
import { authorization, base, data, GET, type Event } from "./api";

const maxEvents = 2000;

export async function eventsSince(organizationId: string, time: Date): Promise<Event[]> {
  const events: Event[] = [];
  while (events.length < maxEvents) {
    const after = events.at(-1)?.event_id;
    const query = { organization_id: organizationId, since: time.toISOString(), after, limit: 1000 };
    const page = await data(GET("/events", { params: { query } }));
    events.push(...page);
    if (page.length < 1000) break;
  }
  return events;
}

export type Liveness = "connecting" | "live" | "waiting";

const patience = 5000; // before another attempt

// Calls back for each event after `after`, or since a time if there is none, until the signal ends it.
// The browser's own EventSource sends no key.
export async function follow(
  organizationId: string,
  since: Date,
  after: number | undefined,
  signal: AbortSignal,
  onEvent: (event: Event) => void,
  onLiveness: (liveness: Liveness) => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const query = new URLSearchParams({ organization_id: organizationId, since: since.toISOString() });
      if (after !== undefined) query.set("after", String(after));
      const headers = { ...authorization(), Accept: "text/event-stream" };
      const response = await fetch(`${base}/events?${query}`, { headers, signal, cache: "no-store" });
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
