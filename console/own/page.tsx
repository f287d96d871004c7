// What the reader has: every limit that applies to their key, with what is left of it, and their own keys.
import { useEffect, useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, GET, POST, type LimitState } from "../shared/api";
import { fromNow } from "../shared/format";
import { Dialog, Field, Form } from "../shared/form";
import { keyName, KeyTable, Secret, type AnyKey } from "../shared/keys";
import { LimitBar } from "../shared/limits";
import { useAct, useLoad } from "../shared/load";
import { amountOf, Empty, Name, Pager, Show, useCursor } from "../shared/parts";
import { sentenceOf } from "../shared/sentence";
import { useSession } from "../shared/session";

export function Own() {
  const { key } = useSession();
  useEffect(() => {
    document.title = "My keys and limits · pg_org";
  }, []);
  return (
    <>
      <h1>My keys and limits</h1>
      <OwnLimits name={keyName(key)} />
      <OwnKeys />
    </>
  );
}

const ownerNames: Record<string, string> = {
  organization: "Organization",
  team: "Team",
  member: "Your membership in the organization",
  team_member: "Your membership in the team",
  user: "You, everywhere",
  end_user: "End user",
  key: "This key",
};

const ownerText = ({ owner, id }: LimitState) =>
  owner === "organization" || owner === "team" ? `${ownerNames[owner]} ${id}` : (ownerNames[owner] ?? owner);

function OwnLimits({ name }: { name: string }) {
  const loaded = useLoad(() => data(GET("/usage/limits", {})), []);
  return (
    <section class="card" aria-labelledby="own-limits">
      <h2 id="own-limits">What is left for calls with this key</h2>
      <p class="quiet">
        A call with <Name>{name}</Name> must be within all of these.
      </p>
      <Show loaded={loaded}>
        {({ limits }) =>
          limits.length ? (
            <ul class="list" aria-label="Limits">
              {limits.map((state, place) => (
                <OwnLimit key={place} state={state} />
              ))}
            </ul>
          ) : (
            <Empty title="No limits apply to this key" />
          )
        }
      </Show>
    </section>
  );
}

function OwnLimit({ state }: { state: LimitState }) {
  const { limit, remaining, resets_at, each } = state;
  return (
    <li>
      <div class="grow">
        <p>
          {each && (
            <span class="quiet">
              <Name>{ownerText(state)}</Name>:{" "}
            </span>
          )}
          <Name>{sentenceOf(state, ownerText(state))}</Name>
        </p>
        <LimitBar sentence={state} state={state} />
      </div>
      <p class="quiet">
        {remaining === null
          ? `counted for each ${(each ?? "").replace("_", " ")}`
          : `${amountOf(limit)(Math.max(0, remaining))} left${resets_at ? `, resets ${fromNow(resets_at)}` : ""}`}
      </p>
    </li>
  );
}

const pageSize = 25;

// Keys of a user; of a key without one, itself.
function OwnKeys() {
  const { key, isAdmin } = useSession();
  const [isMaking, setMaking] = useState(false);
  const cursor = useCursor();
  const loaded = useLoad(async () => {
    if (!key.user_id) return { keys: [key] as AnyKey[], next: null };
    const query = {
      user_id: key.user_id,
      return_full_object: true,
      limit: pageSize,
      after: cursor.after || undefined,
    };
    return data(GET("/key/list", { params: { query } }));
  }, [cursor.after]);
  const isPersonal = !key.organization_id && key.user_id !== null;
  return (
    <section class="card" aria-labelledby="own-keys">
      <div class="card-title">
        <h2 id="own-keys">My keys</h2>
        {isPersonal && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New personal key
          </button>
        )}
      </div>
      <Show loaded={loaded}>
        {({ keys, next }) =>
          keys.length ? (
            <>
              <KeyTable
                label="Table of my keys"
                keys={keys as AnyKey[]}
                rights={{
                  mayChange: () => isAdmin,
                  mayReplace: ({ user_id }) => user_id !== null && user_id === key.user_id,
                }}
                teamName={(id) => id}
                onChanged={loaded.reload}
              />
              <Pager label="Pages of my keys" cursor={cursor} next={next ?? ""} />
            </>
          ) : (
            <Empty title="No keys" />
          )
        }
      </Show>
      {isMaking && <MakeDialog userId={key.user_id!} onClose={() => setMaking(false)} onMade={loaded.reload} />}
    </section>
  );
}

function MakeDialog({ userId, onClose, onMade }: { userId: string; onClose: () => void; onMade: () => void }) {
  const [alias, setAlias] = useState("");
  const [secret, setSecret] = useState<string>();
  const act = useAct();
  const submit = async () => {
    const body = { user_id: userId, key_alias: alias };
    const isDone = await act.run(async () => setSecret((await data(POST("/key/generate", { body }))).key));
    if (!isDone) return;
    announce("The key was made");
    onMade();
  };
  return (
    <Dialog title="New personal key" onClose={onClose}>
      {secret ? (
        <Secret secret={secret} onDone={onClose} />
      ) : (
        <Form act={act} submit="Make" onCancel={onClose} onSubmit={submit}>
          <Field label="Name" required value={alias} onValue={setAlias} />
        </Form>
      )}
    </Dialog>
  );
}
