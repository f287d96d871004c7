// Which limits were reached and refused calls in the last day, as the events tell: once in each window, for each part.
import type { Event } from "../shared/api";
import { eventsSince } from "../shared/events";
import { daysBefore, fromNow, plural } from "../shared/format";
import { useLoad } from "../shared/load";
import { amountOf, Empty, Name, Show } from "../shared/parts";
import { keyNamesIn, reachedIn, reachedText } from "../shared/reached";

interface Refused {
  sentence: string;
  times: number;
  last: Event;
}

async function refusals(organizationId: string): Promise<Refused[]> {
  const { events } = await eventsSince(organizationId, daysBefore(new Date(), 1));
  const exceeded = events.filter(({ kind }) => kind === "budget.exceeded");
  const keyNames = await keyNamesIn(exceeded);
  const found = new Map<string, Refused>();
  for (const event of exceeded) {
    const sentence = reachedText(reachedIn(event)!, keyNames);
    found.set(sentence, { sentence, times: (found.get(sentence)?.times ?? 0) + 1, last: event });
  }
  return [...found.values()].sort((a, b) => b.times - a.times);
}

export function Refusals({ organizationId }: { organizationId: string }) {
  const loaded = useLoad(() => refusals(organizationId), [organizationId]);
  return (
    <section class="card" aria-labelledby="refusals">
      <h2 id="refusals">Refusals of the last day, by limit</h2>
      <Show loaded={loaded} lines={1}>
        {(found) =>
          found.length ? (
            <ul class="list">
              {found.map(({ sentence, times, last }) => {
                const { part, spent, limit } = reachedIn(last)!;
                return (
                  <li key={sentence}>
                    <div class="grow">
                      <p>
                        <Name>{sentence}</Name>
                      </p>
                      <p class="quiet">
                        {plural(times, "time")}, last {fromNow(last.occurred_at)}
                        {part && (
                          <>
                            {" "}
                            for <Name>{part}</Name>
                          </>
                        )}
                        , with {amountOf(limit)(spent)} spent
                      </p>
                    </div>
                  </li>
                );
              })}
            </ul>
          ) : (
            <Empty title="No limit of cost was reached" />
          )
        }
      </Show>
      <p class="hint">Counted once in each period of the limit, however many calls were refused in it.</p>
    </section>
  );
}
