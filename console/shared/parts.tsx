// Small parts that pages are made of: notices, states, bars, tables.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { announce } from "./announce";
import type { Refusal } from "./api";
import { dollars, number } from "./format";
import type { Loaded } from "./load";

export function Problem({ refusal, onRetry }: { refusal?: Refusal; onRetry?: () => void }) {
  if (!refusal) return null;
  return (
    <div class="notice problem" role="alert">
      <p>
        <strong>{refusal.message}</strong>
      </p>
      <p>{refusal.advice}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Loading({ lines = 3 }: { lines?: number }) {
  return (
    <div class="loading" role="status">
      <span class="hidden">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        <div class="skeleton" key={line} />
      ))}
    </div>
  );
}

// What was loaded, or why not, or that it takes time.
export function Show<T>({
  loaded,
  lines,
  children,
}: {
  loaded: Loaded<T>;
  lines?: number;
  children: (value: T) => ComponentChildren;
}) {
  if (loaded.refusal) return <Problem refusal={loaded.refusal} onRetry={loaded.reload} />;
  if (loaded.value === undefined) return <Loading lines={lines} />;
  return <>{children(loaded.value)}</>;
}

export type State = "ok" | "near" | "exceeded" | "blocked" | "expired";

export function Badge({ state }: { state: State }) {
  return <span class={`badge ${state}`}>{state}</span>;
}

// Of an amount with a limit.  At four fifths one had better look.
export function stateOf(spent: number, held: number, limit: number | null | undefined): State {
  if (limit == null) return "ok";
  if (spent >= limit) return "exceeded";
  return spent + held >= 0.8 * limit ? "near" : "ok";
}

interface BarProps {
  label: string;
  spent: number;
  held?: number;
  limit: number | null | undefined;
  unit?: string; // what is counted: money if it is "cost"
}

export const amountOf = (unit: string) => (unit === "cost" ? dollars : number);

export function Bar({ label, spent, held = 0, limit, unit = "cost" }: BarProps) {
  const amount = amountOf(unit);
  const heldText = held > 0 ? `, ${amount(held)} held` : "";
  if (limit == null)
    return (
      <p class="bar-text">
        <span class="hidden">{label}: </span>
        <b>{amount(spent)}</b>
        {heldText} <span class="quiet">no limit</span>
      </p>
    );
  const share = (part: number) =>
    `${Math.max(0, Math.min(100, limit > 0 ? (100 * part) / limit : part > 0 ? 100 : 0))}%`;
  const text = `${amount(spent)} of ${amount(limit)}${heldText}`;
  return (
    <div class="bar-with-text">
      <p class="bar-text" aria-hidden="true">
        <b>{amount(spent)}</b> of {amount(limit)}
        {held > 0 && <span class="quiet">{heldText}</span>}
      </p>
      <div
        class={`bar ${stateOf(spent, held, limit)}`}
        role="meter"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={limit}
        aria-valuenow={Math.max(0, Math.min(spent, limit))}
        aria-valuetext={text}
      >
        <div class="bar-spent" style={{ width: share(spent) }} />
        <div class="bar-held" style={{ width: share(Math.min(held, Math.max(0, limit - spent))) }} />
      </div>
    </div>
  );
}

// Names come from anybody: they are isolated from the direction of the text around them.
export function Name({ children, code = false }: { children: ComponentChildren; code?: boolean }) {
  return code ? (
    <code class="name">
      <bdi>{children}</bdi>
    </code>
  ) : (
    <bdi class="name">{children}</bdi>
  );
}

// A table that scrolls by itself where it is too wide.  A column without a title has the menus.
export function Table({
  label,
  head,
  children,
}: {
  label: string;
  head: ComponentChildren[];
  children: ComponentChildren;
}) {
  return (
    <div class="table" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((title, column) => (
              <th scope="col" key={column}>
                {title || <span class="hidden">Actions</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

// Back and forth in a list by cursor: `cursors` are those of the pages before the one that is shown.
export interface Cursor {
  after: string;
  page: number;
  previous: () => void;
  next: (after: string) => void;
  first: () => void;
}

export function useCursor(): Cursor {
  const [cursors, setCursors] = useState<string[]>([""]);
  return {
    after: cursors.at(-1)!,
    page: cursors.length,
    previous: () => setCursors((all) => (all.length > 1 ? all.slice(0, -1) : all)),
    next: (after) => setCursors((all) => [...all, after]),
    first: () => setCursors([""]),
  };
}

export function Pager({ label, cursor, next }: { label: string; cursor: Cursor; next: string }) {
  if (cursor.page === 1 && !next) return null;
  return (
    <nav class="pager" aria-label={label}>
      <button type="button" disabled={cursor.page === 1} onClick={cursor.previous}>
        Previous
      </button>
      <span>Page {cursor.page}</span>
      <button type="button" disabled={!next} onClick={() => cursor.next(next)}>
        Next
      </button>
    </nav>
  );
}

export function CopyButton({ text, label }: { text: string; label: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      announce("Copied");
    } catch {
      announce("The browser does not let this page copy: select the text, and copy it yourself");
    }
  };
  return (
    <button type="button" onClick={copy}>
      {label}
    </button>
  );
}
