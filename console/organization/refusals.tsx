// How many calls each limit refused in the last day.
import { data, GET } from "../shared/api";
import { daysBefore, fromNow, plural } from "../shared/format";
import { useLoad } from "../shared/load";
import { Empty, Name, Show } from "../shared/parts";
import { keyNamesOf, reachedText } from "../shared/reached";

const maxShown = 50;

async function refusalsOf(organizationId: string) {
  const start_date = daysBefore(new Date(), 1).toISOString();
  const query = { organization_id: organizationId, start_date, page_size: maxShown };
  const { refusals, total } = await data(GET("/usage/refusals", { params: { query } }));
  return { refusals, total, keyNames: await keyNamesOf(refusals) };
}

export function Refusals({ organizationId }: { organizationId: string }) {
  const loaded = useLoad(() => refusalsOf(organizationId), [organizationId]);
  return (
    <section class="card" aria-labelledby="refusals">
      <h2 id="refusals">Refusals of the last day, by limit</h2>
      <Show loaded={loaded} lines={1}>
        {({ refusals, total, keyNames }) =>
          refusals.length ? (
            <>
              <ul class="list">
                {refusals.map((limit, place) => (
                  <li key={place}>
                    <div class="grow">
                      <p>
                        <Name>{reachedText(limit, keyNames)}</Name>
                      </p>
                      <p class="quiet">
                        {plural(limit.refused, "call")}, last {fromNow(limit.last_refused_at)}
                      </p>
                    </div>
                  </li>
                ))}
              </ul>
              {total > maxShown && (
                <p class="hint">
                  These refused most calls. {plural(total - maxShown, "other limit")} refused calls, too.
                </p>
              )}
            </>
          ) : (
            <Empty title="No limit refused a call" />
          )
        }
      </Show>
    </section>
  );
}
