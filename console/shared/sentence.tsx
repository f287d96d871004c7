// Limits as sentences: to read, and to write by filling in fields.
import { useId } from "preact/hooks";

import type { Limit } from "./api";
import { dollars, number } from "./format";
import { amountIn, Select, type Choice } from "./form";

const verbs: Choice[] = [
  ["cost", "spend US dollars"],
  ["tokens", "use tokens"],
  ["requests", "make requests"],
  ["parallel_requests", "run calls at once"],
];

const eachOf: Choice[] = [
  ["", "All together"],
  ["end_user", "Each end user"],
  ["member", "Each member"],
  ["key", "Each key"],
  ["team", "Each team"],
  ["model", "Each model"],
  ["tag", "Each tag"],
];

const other = "other";
const windows: Choice[] = [
  ["", "in all"],
  ["1m", "per minute"],
  ["1h", "per hour"],
  ["1d", "per day"],
  ["1w", "per week"],
  ["1mo", "per month"],
  ["1q", "per quarter"],
  ["1y", "per year"],
  ["30d", "per 30 days"],
  [other, "per …"],
];

const textOf = (choices: Choice[], value: string) => choices.find(([choice]) => choice === value)?.[1];

// Calendar windows may name a time zone.
function splitWindow(per: string): { length: string; zone: string } {
  const [length = "", zone = ""] = per.split("@");
  return { length, zone };
}

export function windowText(per: string | null | undefined): string {
  if (!per) return "in all";
  const { length, zone } = splitWindow(per);
  return (textOf(windows, length) ?? `per ${length}`) + (zone ? ` (${zone})` : "");
}

function amountText(limit: string, value: number): string {
  if (limit === "cost") return `spend ${dollars(value)}`;
  if (limit === "parallel_requests") return `run ${number(value)} calls at once`;
  return limit === "tokens" ? `use ${number(value)} tokens` : `make ${number(value)} requests`;
}

export type Sentence = Pick<Limit, "limit" | "value"> & {
  per?: string | null;
  model?: string | null;
  tag?: string | null;
  each?: string | null;
  soft?: boolean;
  raise?: Limit["raise"];
};

// `subject` is who it limits together, if it is not for each of something.
export function sentenceOf(
  { limit, value, per, model, tag, each, soft, raise }: Sentence,
  subject = "All together",
): string {
  const parts = [
    each ? (textOf(eachOf, each) ?? `Each ${each}`) : subject,
    soft ? "should" : "may",
    amountText(limit, value),
  ];
  if (limit !== "parallel_requests") parts.push(windowText(per));
  if (model) parts.push(`on ${model}`);
  if (tag) parts.push(`under the tag ${tag}`);
  const more = raise
    ? `, and ${limit === "cost" ? dollars(raise.amount) : number(raise.amount)} more until ${raise.until}`
    : "";
  return parts.join(" ") + more + (soft ? "; beyond that, an event tells" : "");
}

export interface Draft {
  limit: string;
  value: string;
  per: string;
  model: string;
  tag: string;
  each: string;
  soft: boolean;
  raise?: Limit["raise"];
}

export const emptyDraft: Draft = { limit: "cost", value: "", per: "1mo", model: "", tag: "", each: "", soft: false };

export const draftOf = (limit: Limit): Draft => ({
  limit: limit.limit,
  value: String(limit.value),
  per: limit.per ?? "",
  model: limit.model ?? "",
  tag: limit.tag ?? "",
  each: limit.each ?? "",
  soft: limit.soft ?? false,
  raise: limit.raise,
});

export function limitOf({ limit, value, per, model, tag, each, soft, raise }: Draft): Limit {
  return {
    limit,
    value: amountIn(value) as number,
    ...(per && limit !== "parallel_requests" && { per }),
    ...(model.trim() && { model: model.trim() }),
    ...(tag.trim() && { tag: tag.trim() }),
    ...(each && { each }),
    ...(soft && { soft }),
    ...(raise && { raise }),
  };
}

function Word({
  label,
  value,
  placeholder,
  onValue,
}: {
  label: string;
  value: string;
  placeholder?: string;
  onValue: (value: string) => void;
}) {
  const id = useId();
  return (
    <span class="inline-field">
      <label class="hidden" for={id}>
        {label}
      </label>
      <input
        id={id}
        dir="auto"
        autoComplete="off"
        spellcheck={false}
        value={value}
        placeholder={placeholder}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
    </span>
  );
}

export function SentenceFields({ draft, onDraft }: { draft: Draft; onDraft: (draft: Draft) => void }) {
  const set = (change: Partial<Draft>) => onDraft({ ...draft, ...change });
  const { length, zone } = splitWindow(draft.per);
  const isListed = windows.some(([choice]) => choice === length && choice !== other);
  const isCalendar = /^1(d|w|mo|q|y)$/.test(length);
  return (
    <fieldset class="sentence">
      <legend>The limit</legend>
      <Select isHidden label="Who" value={draft.each} choices={eachOf} onValue={(each) => set({ each })} />
      <Select
        isHidden
        label="Whether it refuses calls"
        value={draft.soft ? "should" : "may"}
        choices={[
          ["may", "may"],
          ["should", "should"],
        ]}
        onValue={(word) => set({ soft: word === "should" })}
      />
      <Select isHidden label="What" value={draft.limit} choices={verbs} onValue={(limit) => set({ limit })} />
      <Word label="How much" value={draft.value} placeholder="how much" onValue={(value) => set({ value })} />
      {draft.limit !== "parallel_requests" && (
        <>
          <Select
            isHidden
            label="Per what time"
            value={isListed ? length : other}
            choices={windows}
            onValue={(choice) => set({ per: choice === other ? "7d" : choice })}
          />
          {!isListed && <Word label="Length, such as 12h or 2w" value={draft.per} onValue={(per) => set({ per })} />}
          {isCalendar && (
            <>
              <span>in the time zone</span>
              <Word
                label="Time zone"
                value={zone}
                placeholder="UTC"
                onValue={(name) => set({ per: name ? `${length}@${name}` : length })}
              />
            </>
          )}
        </>
      )}
      <span>on</span>
      <Word label="Model" value={draft.model} placeholder="all models" onValue={(model) => set({ model })} />
      <span>under</span>
      <Word label="Tag" value={draft.tag} placeholder="any tag" onValue={(tag) => set({ tag })} />
      <p class="hint">
        {draft.soft
          ? "“should” refuses nothing: an event tells when it is reached."
          : "“may” refuses calls beyond it."}
      </p>
    </fieldset>
  );
}
