// Forms: labelled fields, dialogs with a form in them, menus, and cells that are edited in place.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { useAct, type Act } from "./load";
import { Problem } from "./parts";

interface FieldProps {
  label: string;
  hint?: string;
  value: string;
  type?: "text" | "password" | "email";
  required?: boolean;
  inputMode?: "decimal" | "text";
  autoComplete?: "off" | "current-password";
  placeholder?: string;
  onValue: (value: string) => void;
}

export function Field({ label, hint, value, type = "text", onValue, ...input }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        {...input}
        id={id}
        type={type as "text"}
        value={value}
        dir="auto"
        spellcheck={false}
        autoComplete={input.autoComplete ?? "off"}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onInput={(event) => onValue(event.currentTarget.value)}
      />
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export type Choice = [value: string, text: string];

export function Select({
  label,
  hint,
  value,
  choices,
  onValue,
  isHidden = false,
}: {
  label: string;
  hint?: string;
  value: string;
  choices: Choice[];
  onValue: (value: string) => void;
  isHidden?: boolean; // of the label, where the text around says what it is
}) {
  const id = useId();
  return (
    <div class={isHidden ? "inline-field" : "field"}>
      <label for={id} class={isHidden ? "hidden" : undefined}>
        {label}
      </label>
      <select
        id={id}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onValue(event.currentTarget.value)}
      >
        {choices.map(([choice, text]) => (
          <option key={choice} value={choice} selected={choice === value}>
            {text}
          </option>
        ))}
      </select>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

export function Check({
  label,
  value,
  onValue,
}: {
  label: string;
  value: boolean;
  onValue: (value: boolean) => void;
}) {
  return (
    <label class="check">
      <input type="checkbox" checked={value} onChange={(event) => onValue(event.currentTarget.checked)} />
      <span>{label}</span>
    </label>
  );
}

// Closes with Escape, keeps the focus inside, and gives it back, as the browser does it for <dialog>.  The first field has
// the focus to begin with; where the focused part goes, reading goes on at the heading.
export function Dialog({
  title,
  onClose,
  wide = false,
  children,
}: {
  title: string;
  onClose: () => void;
  wide?: boolean;
  children: ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const shown = dialog.current!;
    shown.showModal();
    shown.querySelector<HTMLElement>("input, select")?.focus();
    return () => shown.close();
  }, []);
  useLayoutEffect(() => {
    if (!dialog.current!.contains(document.activeElement)) heading.current!.focus();
  });
  return (
    <dialog
      ref={dialog}
      class={wide ? "wide" : undefined}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header>
        <h2 ref={heading} id={id} tabIndex={-1}>
          {title}
        </h2>
        <button type="button" class="plain" aria-label="Close" onClick={onClose}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}

export function Form({
  act,
  submit,
  isDangerous = false,
  isDisabled = false,
  onCancel,
  onSubmit,
  children,
}: {
  act: Act;
  submit: string;
  isDangerous?: boolean;
  isDisabled?: boolean;
  onCancel?: () => void;
  onSubmit: () => void;
  children: ComponentChildren;
}) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!act.isRunning && !isDisabled) onSubmit();
      }}
    >
      {children}
      <Problem refusal={act.refusal} />
      <div class="buttons">
        <button
          type="submit"
          class={isDangerous ? "danger" : "primary"}
          disabled={isDisabled}
          aria-busy={act.isRunning}
        >
          {act.isRunning ? "Working …" : submit}
        </button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}

export interface MenuItem {
  text: string;
  isDangerous?: boolean;
  onSelect: () => void;
}

// A few buttons behind one.
export function Menu({ label, items }: { label: string; items: MenuItem[] }) {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  if (!items.length) return null;
  return (
    <div
      class="menu"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return;
        setOpen(false);
        opener.current!.focus();
      }}
      onFocusOut={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOpen(false);
      }}
    >
      <button ref={opener} type="button" aria-label={label} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        Actions
      </button>
      {isOpen && (
        <div class="menu-items">
          {items.map(({ text, isDangerous, onSelect }) => (
            <button
              type="button"
              key={text}
              class={isDangerous ? "plain dangerous" : "plain"}
              onClick={() => {
                opener.current!.focus();
                setOpen(false);
                onSelect();
              }}
            >
              {text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

// A value that turns into a field when it is clicked: Enter saves, Escape leaves it.
export function Editable({
  label,
  value,
  shown,
  type = "text",
  mayEdit,
  onSave,
}: {
  label: string;
  value: string;
  shown: ComponentChildren;
  type?: "text" | "money";
  mayEdit: boolean;
  onSave: (value: string) => Promise<unknown>;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  const button = useRef<HTMLButtonElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const wasEditing = useRef(false);
  const act = useAct();
  const isEditing = draft !== null;
  useEffect(() => {
    if (isEditing) input.current?.select();
    else if (wasEditing.current) button.current?.focus();
    wasEditing.current = isEditing;
  }, [isEditing]);
  if (!mayEdit) return <>{shown}</>;
  if (draft === null)
    return (
      <button
        ref={button}
        type="button"
        class="editable"
        aria-label={`Change ${label}`}
        onClick={() => setDraft(value)}
      >
        {shown}
      </button>
    );
  const leave = () => {
    act.clear();
    setDraft(null);
  };
  return (
    <form
      class="editing"
      onSubmit={async (event) => {
        event.preventDefault();
        if (draft === value || (await act.run(() => onSave(draft)))) leave();
      }}
      onKeyDown={(event) => event.key === "Escape" && leave()}
    >
      <input
        ref={input}
        aria-label={label}
        dir="auto"
        autoComplete="off"
        inputMode={type === "money" ? "decimal" : "text"}
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      <button type="submit" class="primary" aria-busy={act.isRunning}>
        Save
      </button>
      <button type="button" onClick={leave}>
        Cancel
      </button>
      <Problem refusal={act.refusal} />
    </form>
  );
}

// What a field of an amount means: empty is no limit.  What is no number goes to the database as it is, which says so.
export function amountIn(text: string): number | null {
  const trimmed = text.trim();
  if (!trimmed) return null;
  const amount = Number(trimmed);
  return Number.isNaN(amount) ? (trimmed as unknown as number) : amount;
}
