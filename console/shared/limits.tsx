// The limits of one owner, as sentences: read, written, tried and saved.
import { useState } from "preact/hooks";

import { announce } from "./announce";
import type { Limit, LimitState } from "./api";
import { number, plural } from "./format";
import { Dialog, Form } from "./form";
import { useAct } from "./load";
import { amountOf, Bar, Empty, Name, Problem } from "./parts";
import { draftOf, emptyDraft, limitOf, SentenceFields, sentenceOf, type Draft, type Sentence } from "./sentence";
import { tryLimit, type Owner, type Trial } from "./trial";

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

// A draft is tried before it is saved, unless the ledger can't tell.
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
  const [tried, setTried] = useState<{ draft: Draft; trial: Trial | null }>();
  const act = useAct();
  const isTried = tried?.draft === draft;
  const submit = async () => {
    if (!isTried) {
      await act.run(async () => setTried({ draft, trial: await tryLimit(limitOf(draft), owner) }));
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
        <div role="status">{isTried && <TrialResult limit={limitOf(draft)} trial={tried.trial} />}</div>
      </Form>
    </div>
  );
}

const maxNamed = 10;

function TrialResult({ limit, trial }: { limit: Limit; trial: Trial | null }) {
  if (!trial)
    return <p class="notice">Calls under way can't be tried: save it, and it holds from the next call on.</p>;
  const amount = amountOf(limit.limit);
  const { over, highest, calls, isCut, begins, since } = trial;
  const span = begins === "now" ? `since ${since}` : `in the current period (since ${since})`;
  return (
    <div class={over.length ? "notice warning" : "notice"}>
      {over.length ? (
        <>
          <p>
            <strong>
              {begins === "window"
                ? limit.soft
                  ? "These have reached it now:"
                  : "These would be over it now, and refused until the period ends:"
                : `Counting begins when it is saved. With what was used ${span}, these would be over it:`}
            </strong>
          </p>
          <ul class="goes-along">
            {over.slice(0, maxNamed).map(({ name, amount: used }) => (
              <li key={name}>
                <Name>{name}</Name>: {amount(used)}
              </li>
            ))}
            {over.length > maxNamed && <li>and {plural(over.length - maxNamed, "other")}</li>}
          </ul>
        </>
      ) : (
        <p>
          <strong>Nobody would be over it {begins === "window" ? "now" : "yet"}.</strong>
          {highest && (
            <>
              {" "}
              The highest is <Name>{highest.name}</Name> with {amount(highest.amount)}.
            </>
          )}
        </p>
      )}
      <p class="hint">
        From {number(calls)} calls that ended {span}
        {isCut && "; there are more, which were not added up"}. Whoever has a limit of their own is exempt, and what
        is held counts as well.
      </p>
    </div>
  );
}
