// The limits of the organization.
import { organizationFields, patchOrganization } from "../organizations/change";
import { GET, whole, type Limit } from "../shared/api";
import { ConflictNotice, useGuarded } from "../shared/conflict";
import { Limits } from "../shared/limits";
import type { Shown } from "./page";

export function OrganizationLimits({ organization, etag, limits, rights, onChanged }: Shown) {
  const { organization_id, litellm_budget_table: budget } = organization;
  const load = () => whole(GET("/organization/info", { params: { query: { organization_id } } }));
  const guard = useGuarded(load, organizationFields);
  const save = async (changed: Limit[]) => {
    await guard.save({ data: organization, etag }, (tag) =>
      patchOrganization(organization_id, { limits: changed }, tag),
    );
    onChanged();
  };
  return (
    <section class="card" aria-labelledby="limits">
      <h2 id="limits">Limits of the organization</h2>
      <p class="quiet">A call must be within all of them, and within those of its team, member and key.</p>
      <ConflictNotice conflict={guard.conflict} before={organization} fieldsOf={organizationFields} />
      <Limits
        subject="All together"
        shortForms={budget ?? {}}
        limits={(budget?.limits ?? []) as unknown as Limit[]}
        states={limits}
        owner={{ organization_id }}
        mayEdit={rights.ofPlatform}
        save={save}
      />
    </section>
  );
}
