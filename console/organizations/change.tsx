// Changing an organization.
import { data, GET, PATCH, whole, type Organization } from "../shared/api";
import { ChangeForm } from "../shared/change";
import { Dialog } from "../shared/form";
import { useLoad } from "../shared/load";
import { Show } from "../shared/parts";

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

// Saves with the tag of what was seen.
export const patchOrganization = (organization_id: string, body: object, etag: string) =>
  data(
    PATCH("/v2/organization/{organization_id}", {
      params: { path: { organization_id }, header: { "If-Match": etag } },
      body,
    }),
  );

export function ChangeDialog({
  organization: { organization_id },
  onClose,
  onDone,
}: {
  organization: Organization;
  onClose: () => void;
  onDone: () => void;
}) {
  const load = () => look(organization_id);
  const loaded = useLoad(load, []);
  return (
    <Dialog title="Change the organization" onClose={onClose}>
      <Show loaded={loaded}>
        {(seen) => (
          <ChangeForm
            seen={seen}
            nameField="organization_alias"
            name={seen.data.organization_alias}
            budget={seen.data.litellm_budget_table}
            load={load}
            send={(patch, etag) => patchOrganization(organization_id, patch, etag)}
            fieldsOf={organizationFields}
            onClose={onClose}
            onDone={onDone}
          />
        )}
      </Show>
    </Dialog>
  );
}
