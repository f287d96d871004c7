// Who changed what, with the values before and after side by side.
import { GET, whole, type AuditEntry } from "../shared/api";
import { exactTime, fromNow } from "../shared/format";
import { useLoad } from "../shared/load";
import { Empty, Name, Pager, Show, useCursor } from "../shared/parts";
import { shownValue } from "../shared/values";
import type { Shown } from "./page";

const pageSize = 20;

export function Audit({ organization: { organization_id } }: Shown) {
  const cursor = useCursor();
  const loaded = useLoad(() => {
    const query = { organization_id, limit: pageSize, after: cursor.after || undefined };
    return whole(GET("/organization/audit", { params: { query } }));
  }, [organization_id, cursor.after]);
  return (
    <section class="card" aria-labelledby="audit">
      <h2 id="audit">Changes, the newest first</h2>
      <Show loaded={loaded}>
        {({ data, next }) =>
          data.length ? (
            <>
              <ol class="list">
                {data.map((entry) => (
                  <Entry key={entry.audit_id} entry={entry} />
                ))}
              </ol>
              <Pager label="Pages of the audit log" cursor={cursor} next={next} />
            </>
          ) : (
            <Empty title="Nothing was changed yet" />
          )
        }
      </Show>
    </section>
  );
}

const aliases = ["organization_alias", "team_alias", "key_alias", "alias", "user_email"];

// What people call the thing, if the entry tells.
function nameIn(fields: Record<string, unknown>, id: string): string {
  const alias = aliases.map((field) => fields[field]).find(Boolean);
  return alias ? String(alias) : id;
}

function Entry({ entry }: { entry: AuditEntry }) {
  const before = entry.before as Record<string, unknown> | null;
  const after = entry.after as Record<string, unknown> | null;
  const fields = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  const verb = !before ? "made" : !after ? "deleted" : "changed";
  return (
    <li>
      <details class="grow">
        <summary>
          <Name>{entry.actor ?? "somebody"}</Name> {verb} {entry.kind.replaceAll("_", " ")}{" "}
          <Name>{nameIn({ ...before, ...after }, entry.id ?? "")}</Name>{" "}
          <time class="quiet" dateTime={entry.occurred_at} title={exactTime(entry.occurred_at)}>
            {fromNow(entry.occurred_at)}
          </time>
        </summary>
        <div class="table" role="region" aria-label="Before and after" tabIndex={0}>
          <table class="side-by-side">
            <thead>
              <tr>
                <th scope="col">Field</th>
                <th scope="col">Before</th>
                <th scope="col">After</th>
              </tr>
            </thead>
            <tbody>
              {fields.map((field) => (
                <tr key={field}>
                  <th scope="row">{field}</th>
                  <td>{before && <Name>{shownValue(before[field])}</Name>}</td>
                  <td>{after && <Name>{shownValue(after[field])}</Name>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="hint">
          {exactTime(entry.occurred_at)}, by {entry.action}
          {entry.key_id && (
            <>
              {" "}
              with the key <Name code>{entry.key_id}</Name>
            </>
          )}
          {entry.key_made_by && (
            <>
              , which <Name>{entry.key_made_by}</Name> made
            </>
          )}
          {entry.request_id && (
            <>
              , request <Name code>{entry.request_id}</Name>
            </>
          )}
        </p>
      </details>
    </li>
  );
}
