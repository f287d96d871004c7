// The events of the last day, and new ones as they come.
import { useEffect, useMemo, useState } from "preact/hooks";

import type { Event } from "../shared/api";
import { eventsSince, follow, type Liveness } from "../shared/events";
import { daysBefore, exactTime, fromNow } from "../shared/format";
import { useLoad } from "../shared/load";
import { amountOf, Empty, Name, Show } from "../shared/parts";
import { reachedIn, reachedText } from "../shared/reached";
import { shownValue } from "../shared/values";
import type { Shown } from "./page";

const maxShown = 200;

const livenessText: Record<Liveness, string> = {
  connecting: "Connecting …",
  live: "Live: new events show here as they come.",
  waiting: "Not live: the gateway is away or has too many listeners. Trying again every few seconds.",
};

export function Events({ organization: { organization_id } }: Shown) {
  const since = useMemo(() => daysBefore(new Date(), 1), [organization_id]);
  const loaded = useLoad(() => eventsSince(organization_id, since), [organization_id]);
  return (
    <section class="card" aria-labelledby="events">
      <h2 id="events">Events of the last day</h2>
      <Show loaded={loaded}>{(past) => <Live organizationId={organization_id} since={since} past={past} />}</Show>
    </section>
  );
}

function Live({ organizationId, since, past }: { organizationId: string; since: Date; past: Event[] }) {
  const [events, setEvents] = useState(past);
  const [liveness, setLiveness] = useState<Liveness>("connecting");
  useEffect(() => {
    const end = new AbortController();
    const add = (event: Event) => setEvents((all) => [...all, event]);
    void follow(organizationId, since, past.at(-1)?.event_id, end.signal, add, setLiveness);
    return () => end.abort();
  }, []);
  const shown = events.slice(-maxShown).reverse();
  return (
    <>
      <p class="quiet" role="status">
        {livenessText[liveness]}
      </p>
      {shown.length ? (
        <ol class="list" aria-live="polite" aria-label="Events, the newest first">
          {shown.map((event) => (
            <Line key={event.event_id} event={event} />
          ))}
        </ol>
      ) : (
        <Empty title="Nothing happened in the last day">
          Changes of members and keys, limits that are reached and resets show here.
        </Empty>
      )}
    </>
  );
}

function Line({ event }: { event: Event }) {
  const { kind, occurred_at } = event;
  return (
    <li>
      <time class="quiet" dateTime={occurred_at} title={exactTime(occurred_at)}>
        {fromNow(occurred_at)}
      </time>
      <strong>{kind}</strong>
      <span class="grow quiet">
        <About event={event} />
      </span>
    </li>
  );
}

function About({ event }: { event: Event }) {
  const reached = reachedIn(event);
  if (reached)
    return (
      <>
        <Name>{reachedText(reached, new Map())}</Name>; {amountOf(reached.limit)(reached.spent)} is spent
        {reached.part && (
          <>
            {" "}
            for <Name>{reached.part}</Name>
          </>
        )}
      </>
    );
  const facts = Object.entries(event.data).filter(([, value]) => value !== null && value !== false);
  return (
    <>
      {facts.map(([field, value], place) => (
        <span key={field}>
          {place > 0 && ", "}
          {field} <Name>{shownValue(value)}</Name>
        </span>
      ))}
    </>
  );
}
