// What several pages show of an organization: its limits as they are now, and its state.
import { data, GET, type LimitState, type Organization } from "./api";
import { stateOf, type State } from "./parts";

// Limits are read with a key.  An organization without keys has nothing under way.
export async function limitsOf(organizationId: string): Promise<LimitState[]> {
  const { keys } = await data(GET("/key/list", { params: { query: { organization_id: organizationId, size: 1 } } }));
  const key = keys[0] as unknown as string | undefined;
  if (!key) return [];
  const { limits } = await data(GET("/usage/limits", { params: { query: { key } } }));
  return limits.filter(({ owner }) => owner === "organization");
}

const maxAtOnce = 4; // of the six that browsers allow: the reader may go on meanwhile

// Of several organizations, by identifier; without those whose keys the caller may not see.
export async function limitsOfAll(
  organizations: Organization[],
  signal: AbortSignal,
): Promise<Map<string, LimitState[]>> {
  const found = new Map<string, LimitState[]>();
  const rest = organizations.map(({ organization_id }) => organization_id);
  const askForNext = async (): Promise<void> => {
    const id = rest.shift();
    if (id === undefined || signal.aborted) return;
    await limitsOf(id).then(
      (limits) => found.set(id, limits),
      () => {},
    );
    return askForNext();
  };
  await Promise.all(Array.from({ length: maxAtOnce }, askForNext));
  return found;
}

export interface Money {
  spent: number;
  held: number;
  limit: number | null;
  resetsAt: string | null;
}

export function moneyOf(organization: Organization, limits: LimitState[] = []): Money {
  const budget = organization.litellm_budget_table;
  const costs = limits.filter(
    ({ limit, soft, each, model, tag }) => limit === "cost" && !soft && !each && !model && !tag,
  );
  const main =
    costs.find(({ field }) => field === "max_budget") ?? (budget?.max_budget == null ? costs[0] : undefined);
  if (main) return { spent: main.spent ?? 0, held: main.held ?? 0, limit: main.value, resetsAt: main.resets_at };
  return {
    spent: organization.period_spend,
    held: 0,
    limit: budget?.max_budget ?? null,
    resetsAt: budget?.budget_reset_at ?? null,
  };
}

const worst: State[] = ["exceeded", "near", "ok"];

// That of the limit which is closest to its end.
export function organizationState(organization: Organization, limits: LimitState[] = []): State {
  if (organization.blocked) return "blocked";
  const money = moneyOf(organization, limits);
  const states = limits
    .filter(({ soft, spent, limit }) => !soft && spent !== null && limit !== "parallel_requests")
    .map(({ spent, held, value }) => stateOf(spent!, held ?? 0, value));
  states.push(stateOf(money.spent, money.held, money.limit));
  return worst.find((state) => states.includes(state))!;
}

export const nameOf = ({ organization_alias, organization_id }: Organization) =>
  organization_alias || organization_id;
