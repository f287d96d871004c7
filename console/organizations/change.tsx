// Changing an organization.  If somebody else is faster, both see what the other did.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, GET, PATCH, whole, type Organization } from "../shared/api";
import { ConflictNotice, useGuarded } from "../shared/conflict";
import { amountIn, Dialog, Field, Form, Select } from "../shared/form";
import { useAct, useLoad } from "../shared/load";
import { Show } from "../shared/parts";
import { periods } from "../shared/periods";

const look = (id: string) => whole(GET("/organization/info", { params: { query: { organization_id: id } } }));

export const organizationFields = (organization: Organization): Record<string, unknown> => ({
  Name: organization.organization_alias,
  "May spend": organization.litellm_budget_table?.max_budget,
  Per: organization.litellm_budget_table?.budget_duration,
  "Requests per minute": organization.litellm_budget_table?.rpm_limit,
  "Tokens per minute": organization.litellm_budget_table?.tpm_limit,
  Models: organization.models,
  Blocked: organization.blocked,
  Limits: organization.litellm_budget_table?.limits,
});

// What was loaded when the dialog opened is what the reader edits.
export function ChangeDialog({ organization, onClose, onDone }: {
  organization: Organization;
  onClose: () => void;
  onDone: () => void;
}) {
  const loaded = useLoad(() => look(organization.organization_id), []);
  return (
    <Dialog title="Change the organization" onClose={onClose}>
      <Show loaded={loaded}>{(seen) => <ChangeForm seen={seen} onClose={onClose} onDone={onDone} />}</Show>
    </Dialog>
  );
}

const text = (value: unknown) => (value == null ? "" : String(value));
const listOf = (value: string) => value.split(",").map((part) => part.trim()).filter(Boolean);

function ChangeForm({ seen, onClose, onDone }: {
  seen: { data: Organization; etag: string };
  onClose: () => void;
  onDone: () => void;
}) {
  const { organization_id, organization_alias, litellm_budget_table: budget, models } = seen.data;
  const before = {
    organization_alias: text(organization_alias),
    max_budget: text(budget?.max_budget),
    budget_duration: text(budget?.budget_duration),
    rpm_limit: text(budget?.rpm_limit),
    tpm_limit: text(budget?.tpm_limit),
    models: models.join(", "),
  };
  const [now, setNow] = useState(before);
  const set = (field: keyof typeof before) => (value: string) => setNow({ ...now, [field]: value });
  const act = useAct();
  const guard = useGuarded(() => look(organization_id), organizationFields);

  // Only what the reader changed, so that the rest stays as others left it.
  const patch = () => {
    const changed = Object.entries(now).filter(([field, value]) => value !== before[field as keyof typeof before]);
    return Object.fromEntries(
      changed.map(([field, value]) => {
        if (field === "organization_alias") return [field, value];
        if (field === "models") return [field, listOf(value)];
        return [field, field === "budget_duration" ? value || null : amountIn(value)];
      }),
    );
  };
  const submit = async () => {
    const isDone = await act.run(() =>
      guard.save(seen, (etag) =>
        data(
          PATCH("/v2/organization/{organization_id}", {
            params: { path: { organization_id }, header: { "If-Match": etag } },
            body: patch(),
          }),
        ),
      ),
    );
    if (!isDone) return;
    announce("Saved");
    onDone();
  };
  return (
    <Form act={act} submit="Save" onCancel={onClose} onSubmit={submit}>
      <Field label="Name" required value={now.organization_alias} onValue={set("organization_alias")} />
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
      <Field label="Models" value={now.models} onValue={set("models")} hint="Separated by commas. Empty: all models." />
      <ConflictNotice conflict={guard.conflict} before={seen.data} fieldsOf={organizationFields} />
    </Form>
  );
}
