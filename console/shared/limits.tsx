// The limits of one owner, as sentences: read, written, tried and saved.
import { useState } from "preact/hooks";

import { announce } from "./announce";
import { data, POST, type Limit, type LimitState, type TriedLimit } from "./api";
import { exactTime, plural } from "./format";
import { Dialog, Form } from "./form";
import { useAct } from "./load";
import { amountOf, Bar, Empty, Name, Problem } from "./parts";
import { draftOf, emptyDraft, limitOf, SentenceFields, sentenceOf, type Draft, type Sentence } from "./sentence";

// By the names that /limit/try takes.
interface Owner {
  organization_id?: string; // of none for what belongs to the platform
  team_id?: string;
  user_id?: string;
  key?: string; // a token_id
}

// The fields that are short forms of limits.
interface ShortForms {
  max_budget?: number | null;
  soft_budget?: number | null;
  budget_duration?: string | null;
  rpm_limit?: number | null;
  tpm_limit?: number | null;
  rpd_limit?: number | null;
  tpd_limit?: number | null;
  max_parallel_requests?: number | null;
}

type NamedSentence = Sentence & { field: string };

function sentencesOf(owner: ShortForms): NamedSentence[] {
  const { max_budget, soft_budget, budget_duration: per, rpm_limit, tpm_limit, rpd_limit, tpd_limit } = owner;
  const all: [string, number | null | undefined, Partial<Sentence>][] = [
    ["max_budget", max_budget, { limit: "cost", per }],
    ["soft_budget", soft_budget, { limit: "cost", per, soft: true }],
    ["rpm_limit", rpm_limit, { limit: "requests", per: "1m" }],
    ["tpm_limit", tpm_limit, { limit: "tokens", per: "1m" }],
    ["rpd_limit", rpd_limit, { limit: "requests", per: "1d" }],
    ["tpd_limit", tpd_limit, { limit: "tokens", per: "1d" }],
    ["max_parallel_requests", owner.max_parallel_requests, { limit: "parallel_requests" }],
  ];
  return all.flatMap(([field, value, rest]) => (value == null ? [] : [{ ...rest, field, value } as NamedSentence]));
}

const isSame = (a: Sentence, b: Sentence) =>
  (["limit", "per", "model", "tag", "each"] as const).every((field) => (a[field] ?? null) === (b[field] ?? null)) &&
  !!a.soft === !!b.soft;

export function LimitBar({ sentence, state }: { sentence: Sentence; state?: LimitState }) {
  if (!state || state.spent === null) return null;
  const { limit, spent, held, value } = state;
  const isParallel = limit === "parallel_requests";
  return (
    <Bar
      label={sentenceOf(sentence)}
      spent={isParallel ? (held ?? 0) : spent}
      held={isParallel || limit !== "cost" ? 0 : (held ?? 0)}
      limit={value}
      unit={limit}
    />
  );
}

export function Limits({
  subject,
  shortForms,
  limits,
  states = [],
  owner,
  mayEdit,
  save,
}: {
  subject: string; // whom the limits hold for that are not for each of something
  shortForms: ShortForms;
  limits: Limit[];
  states?: LimitState[];
  owner: Owner;
  mayEdit: boolean;
  save: (limits: Limit[]) => Promise<unknown>;
}) {
  const [editing, setEditing] = useState<number>(); // that many limits are there before it
  const act = useAct();
  const remove = async (place: number) => {
    if (await act.run(() => save(limits.filter((_, other) => other !== place)))) announce("The limit was removed");
  };
  const saveAt = (place: number) => (limit: Limit) => {
    const all = [...limits];
    all[place] = limit;
    return save(all);
  };
  const stateOf = (sentence: Sentence) => states.find((state) => isSame(state, sentence));
  const short = sentencesOf(shortForms);
  const textOf = (sentence: Sentence) => sentenceOf(sentence, subject);
  return (
    <>
      {!short.length && !limits.length && editing === undefined && (
        <Empty title="No limits">
          {mayEdit ? "Add one: it holds from the next call on." : "Calls are not limited here."}
        </Empty>
      )}
      <ul class="list" aria-label="Limits">
        {short.map((sentence) => (
          <li key={sentence.field}>
            <div class="grow">
              <Name>{textOf(sentence)}</Name>
              <LimitBar sentence={sentence} state={stateOf(sentence)} />
            </div>
            <span class="quiet">
              set as <code>{sentence.field}</code>
            </span>
          </li>
        ))}
        {limits.map((limit, place) => (
          <li key={place}>
            {editing === place ? (
              <LimitForm
                before={draftOf(limit)}
                owner={owner}
                onCancel={() => setEditing(undefined)}
                onSave={saveAt(place)}
              />
            ) : (
              <>
                <div class="grow">
                  <Name>{textOf(limit)}</Name>
                  <LimitBar sentence={limit} state={stateOf(limit)} />
                </div>
                {mayEdit && (
                  <div class="buttons">
                    <button type="button" onClick={() => setEditing(place)} aria-label={`Edit: ${textOf(limit)}`}>
                      Edit
                    </button>
                    <button type="button" onClick={() => remove(place)} aria-label={`Remove: ${textOf(limit)}`}>
                      Remove
                    </button>
                  </div>
                )}
              </>
            )}
          </li>
        ))}
        {editing === limits.length && (
          <li>
            <LimitForm
              before={emptyDraft}
              owner={owner}
              onCancel={() => setEditing(undefined)}
              onSave={saveAt(limits.length)}
            />
          </li>
        )}
      </ul>
      <Problem refusal={act.refusal} />
      {mayEdit && editing === undefined && (
        <div>
          <button type="button" class="primary" onClick={() => setEditing(limits.length)}>
            Add a limit
          </button>
        </div>
      )}
    </>
  );
}

// In a dialog, for one of many owners.
export function LimitsDialog({
  name,
  subject,
  limited,
  owner,
  change,
  onClose,
  onDone,
}: {
  name: string;
  subject: string;
  limited: ShortForms & { limits?: unknown };
  owner: Owner;
  change: (change: { limits: Limit[] }) => Promise<unknown>;
  onClose: () => void;
  onDone: () => void;
}) {
  const save = async (limits: Limit[]) => {
    await change({ limits });
    onDone();
  };
  return (
    <Dialog wide title={`Limits of ${name}`} onClose={onClose}>
      <Limits
        subject={subject}
        shortForms={limited}
        limits={(limited.limits ?? []) as Limit[]}
        owner={owner}
        mayEdit
        save={save}
      />
    </Dialog>
  );
}

// A draft is tried before it is saved.
function LimitForm({
  before,
  owner,
  onCancel,
  onSave,
}: {
  before: Draft;
  owner: Owner;
  onCancel: () => void;
  onSave: (limit: Limit) => Promise<unknown>;
}) {
  const [draft, setDraft] = useState(before);
  const [tried, setTried] = useState<{ draft: Draft; reply: TriedLimit }>();
  const act = useAct();
  const isTried = tried?.draft === draft;
  const submit = async () => {
    if (!isTried) {
      const body = { ...owner, limit: limitOf(draft) as never };
      await act.run(async () => setTried({ draft, reply: await data(POST("/limit/try", { body })) }));
      return;
    }
    if (!(await act.run(() => onSave(limitOf(draft))))) return;
    announce("The limit was saved");
    onCancel();
  };
  return (
    <div class="grow">
      <Form
        act={act}
        submit={isTried ? "Save the limit" : "Try it"}
        isDisabled={!draft.value.trim()}
        onCancel={onCancel}
        onSubmit={submit}
      >
        <SentenceFields draft={draft} onDraft={setDraft} />
        <div role="status">{isTried && <Trial tried={tried.reply} />}</div>
      </Form>
    </div>
  );
}

const maxNamed = 10;

function Used({ limit, part: { part, spent, held } }: { limit: string; part: TriedLimit["over"][number] }) {
  const amount = amountOf(limit);
  return (
    <>
      <Name>{part ?? "All together"}</Name>: {amount(limit === "parallel_requests" ? held : spent)}
      {limit === "cost" && held > 0 && `, and ${amount(held)} held`}
    </>
  );
}

function Trial({ tried }: { tried: TriedLimit }) {
  const { limit, soft, over, total, highest_within, window_start, resets_at, counts_at_once } = tried;
  const ends = resets_at ? `, until ${exactTime(resets_at)}` : "";
  const parts = total ? over.slice(0, maxNamed) : highest_within ? [highest_within] : [];
  const begins = window_start ? `since ${exactTime(window_start)}` : "so far";
  const told = !counts_at_once
    ? `Counting begins when it is saved. With what was used ${begins}, these would be over it:`
    : soft
      ? "These have reached it now:"
      : `These would be over it now, and refused${ends}:`;
  return (
    <div class={total ? "notice warning" : "notice"}>
      <p>
        <strong>{total ? told : `Nobody would be over it ${counts_at_once ? "now" : "yet"}.`}</strong>
        {!total && highest_within && ` The highest, with what was used ${begins}:`}
      </p>
      {parts.length > 0 && (
        <ul class="goes-along">
          {parts.map((part) => (
            <li key={part.part}>
              <Used limit={limit} part={part} />
            </li>
          ))}
          {total > maxNamed && <li>and {plural(total - maxNamed, "other")}</li>}
        </ul>
      )}
    </div>
  );
}
