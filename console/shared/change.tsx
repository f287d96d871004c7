// The form that changes an organization or a team: its name, what it may spend, its rates and its models.  If somebody
// else is faster, the reader sees what they did.
import { useState } from "preact/hooks";

import { announce } from "./announce";
import { ConflictNotice, useGuarded, type Tagged } from "./conflict";
import { amountIn, Field, Form, Select } from "./form";
import { useAct } from "./load";
import { periods } from "./periods";

interface Changeable {
  max_budget?: number | null;
  budget_duration?: string | null;
  rpm_limit?: number | null;
  tpm_limit?: number | null;
}

const text = (value: unknown) => (value == null ? "" : String(value));
export const listOf = (value: string) =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

export type Patch = Record<string, string | number | string[] | null>;

// `name` is the value of the field `nameField`.
export function ChangeForm<T extends { models: string[] }>({
  seen,
  nameField,
  name,
  budget,
  ...form
}: {
  seen: Tagged<T>; // what the reader saw when they began
  nameField: string;
  name: string | null;
  budget: Changeable | null;
  load: () => Promise<Tagged<T>>;
  send: (patch: Patch, etag: string) => Promise<unknown>;
  fieldsOf: (thing: T) => Record<string, unknown>;
  onClose: () => void;
  onDone: () => void;
}) {
  const before = {
    name: text(name),
    max_budget: text(budget?.max_budget),
    budget_duration: text(budget?.budget_duration),
    rpm_limit: text(budget?.rpm_limit),
    tpm_limit: text(budget?.tpm_limit),
    models: seen.data.models.join(", "),
  };
  const [now, setNow] = useState(before);
  const set = (field: keyof typeof before) => (value: string) => setNow({ ...now, [field]: value });
  const act = useAct();
  const guard = useGuarded(form.load, form.fieldsOf);

  // Only what the reader changed, so that the rest stays as others left it.
  const patch = (): Patch => {
    const changed = Object.entries(now).filter(([field, value]) => value !== before[field as keyof typeof before]);
    return Object.fromEntries(
      changed.map(([field, value]) => {
        if (field === "name") return [nameField, value];
        if (field === "models") return [field, listOf(value)];
        return [field, field === "budget_duration" ? value || null : amountIn(value)];
      }),
    );
  };
  const submit = async () => {
    if (!(await act.run(() => guard.save(seen, (etag) => form.send(patch(), etag))))) return;
    announce("Saved");
    form.onDone();
  };
  return (
    <Form act={act} submit="Save" onCancel={form.onClose} onSubmit={submit}>
      <Field label="Name" required value={now.name} onValue={set("name")} />
      <div class="columns">
        <Field
          label="May spend (US dollars)"
          inputMode="decimal"
          value={now.max_budget}
          onValue={set("max_budget")}
          hint="Empty: no limit."
        />
        <Select
          label="Per"
          value={now.budget_duration}
          choices={periods(before.budget_duration)}
          onValue={set("budget_duration")}
        />
        <Field label="Requests per minute" inputMode="decimal" value={now.rpm_limit} onValue={set("rpm_limit")} />
        <Field label="Tokens per minute" inputMode="decimal" value={now.tpm_limit} onValue={set("tpm_limit")} />
      </div>
      <Field
        label="Models"
        value={now.models}
        onValue={set("models")}
        hint="Separated by commas. Empty: all models."
      />
      <ConflictNotice conflict={guard.conflict} before={seen.data} fieldsOf={form.fieldsOf} />
    </Form>
  );
}
