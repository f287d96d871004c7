// Changes of what has an entity tag: where somebody else was faster, the reader sees what they changed, and decides.
import { useState } from "preact/hooks";

import { Refusal } from "./api";
import { Name } from "./parts";
import { shownValue } from "./values";

export interface Tagged<T> {
  data: T;
  etag: string;
}

export interface Conflict<T> {
  current: Tagged<T>;
  fields: string[]; // those that the other one changed
}

// Saves with the tag of what the reader saw.  `conflict` is set if that is not the current one any more.
export function useGuarded<T extends object>(
  load: () => Promise<Tagged<T>>,
  fieldsOf: (thing: T) => Record<string, unknown>,
) {
  const [conflict, setConflict] = useState<Conflict<T>>();
  const save = async (seen: Tagged<T>, send: (etag: string) => Promise<unknown>) => {
    try {
      await send(conflict?.current.etag ?? seen.etag);
      setConflict(undefined);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 412) throw error;
      const current = await load();
      const before = fieldsOf(conflict?.current.data ?? seen.data);
      const after = fieldsOf(current.data);
      const fields = Object.keys(after).filter(
        (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
      );
      setConflict({ current, fields });
      throw error;
    }
  };
  return { conflict, save };
}

export function ConflictNotice<T extends object>({
  conflict,
  before,
  fieldsOf,
}: {
  conflict?: Conflict<T>;
  before: T;
  fieldsOf: (thing: T) => Record<string, unknown>;
}) {
  if (!conflict) return null;
  const old = fieldsOf(before);
  const now = fieldsOf(conflict.current.data);
  return (
    <section class="notice conflict" aria-label="What somebody else changed">
      <p>
        <strong>Somebody else saved this while you edited it.</strong> Save again to keep your changes on top of
        theirs, or cancel to leave it as it is now.
      </p>
      <dl class="changes">
        {conflict.fields.map((field) => (
          <div key={field}>
            <dt>{field}</dt>
            <dd>
              <del>
                <Name>{shownValue(old[field])}</Name>
              </del>{" "}
              →{" "}
              <ins>
                <Name>{shownValue(now[field])}</Name>
              </ins>
            </dd>
          </div>
        ))}
        {!conflict.fields.length && <p>They changed nothing that is shown here.</p>}
      </dl>
    </section>
  );
}
