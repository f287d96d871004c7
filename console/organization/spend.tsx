// What an organization spent, day by day, against what it may spend; and what its limits refused.
import { useMemo, useState } from "preact/hooks";

import { data, GET, POST, type Activity } from "../shared/api";
import { DailyChart, largest, type Series } from "../shared/chart";
import { date, daysBefore, dollars, fromNow, utcDay } from "../shared/format";
import { useLoad } from "../shared/load";
import { moneyOf } from "../shared/organization";
import { Bar, Empty, Show } from "../shared/parts";
import type { Shown } from "./page";
import { Refusals } from "./refusals";

const views = ["model", "team", "key", "member"] as const;
type View = (typeof views)[number];

const spans = [7, 28, 90];
const maxTeams = 100; // of which the chart tells one by one

interface Spent {
  days: string[];
  total: number[];
  of: Record<View, Series[]>;
}

const daysUntilToday = (many: number) =>
  Array.from({ length: many }, (_, place) => utcDay(daysBefore(new Date(), many - 1 - place)));

// All pages of a report, by day.
async function report(read: (page: number) => Promise<Activity>): Promise<Map<string, Activity["results"][number]>> {
  const days = new Map<string, Activity["results"][number]>();
  for (let page = 1; ; page += 1) {
    const { results, metadata } = await read(page);
    for (const day of results) days.set(day.date, day);
    if (!metadata.has_more) return days;
  }
}

type Groups = Record<string, { metrics: { spend: number } }>;

// A series for each group, by the name that `nameOf` gives it.
function seriesOf(
  days: string[],
  groupsOf: (day: string) => Groups | undefined,
  nameOf: (group: string) => string,
): Series[] {
  const series = new Map<string, number[]>();
  days.forEach((day, place) => {
    for (const [group, { metrics }] of Object.entries(groupsOf(day) ?? {})) {
      const name = nameOf(group);
      if (!series.has(name))
        series.set(
          name,
          days.map(() => 0),
        );
      series.get(name)![place]! += metrics.spend;
    }
  });
  return [...series].map(([name, amounts]) => ({ name, amounts }));
}

// What belongs to none of the groups, so that all views add up to the same.
function withRest(series: Series[], total: number[], name: string): Series[] {
  const rest = total.map((sum, day) =>
    Math.max(0, sum - series.reduce((known, { amounts }) => known + amounts[day]!, 0)),
  );
  return rest.some((amount) => amount > 1e-9) ? [...series, { name, amounts: rest }] : series;
}

async function usersOf(tokens: string[]): Promise<Map<string, string | null>> {
  const users = new Map<string, string | null>();
  for (let first = 0; first < tokens.length; first += 1000) {
    const { info } = await data(POST("/v2/key/info", { body: { keys: tokens.slice(first, first + 1000) } }));
    for (const { token_id, user_id } of info) users.set(token_id, user_id);
  }
  return users;
}

async function spentIn(organizationId: string, many: number, teams: string[]): Promise<Spent> {
  const days = daysUntilToday(many);
  const query = { start_date: days[0]!, end_date: days.at(-1)!, page_size: 100 };
  const ids = (list: string[]) => JSON.stringify(list) as unknown as string[];
  const [all, ofTeams] = await Promise.all([
    report((page) =>
      data(
        GET("/organization/daily/activity", {
          params: { query: { ...query, page, organization_ids: ids([organizationId]) } },
        }),
      ),
    ),
    teams.length
      ? report((page) =>
          data(GET("/team/daily/activity", { params: { query: { ...query, page, team_ids: ids(teams) } } })),
        )
      : new Map<string, never>(),
  ]);
  const keys = (day: string) => all.get(day)?.breakdown.api_keys;
  const known = new Map<string, string>(); // names of keys
  for (const { breakdown } of all.values())
    for (const [token, { metadata }] of Object.entries(breakdown.api_keys))
      known.set(token, metadata.key_alias ?? token);
  const users = await usersOf([...known.keys()]);
  const teamNames = new Map<string, string>();
  for (const { breakdown } of ofTeams.values() as Iterable<Activity["results"][number]>)
    for (const [team, { metadata }] of Object.entries(breakdown.entities))
      teamNames.set(team, (metadata as { team_alias?: string }).team_alias || team);
  const total = days.map((day) => all.get(day)?.metrics.spend ?? 0);
  const ofTeam = (day: string) => (ofTeams as Map<string, Activity["results"][number]>).get(day)?.breakdown.entities;
  return {
    days,
    total,
    of: {
      model: seriesOf(
        days,
        (day) => all.get(day)?.breakdown.models,
        (model) => model,
      ),
      team: withRest(
        seriesOf(days, ofTeam, (team) => teamNames.get(team) ?? team),
        total,
        "no team",
      ),
      key: seriesOf(days, keys, (token) => known.get(token) ?? token),
      member: seriesOf(days, keys, (token) =>
        users.has(token) ? (users.get(token) ?? "keys without a user") : "deleted keys",
      ),
    },
  };
}

// At the pace of the last seven whole days, or of those that there are.
function pace(total: number[]): number {
  const whole = total.slice(-8, -1);
  const first = whole.findIndex((amount) => amount > 0);
  const days = first < 0 ? [] : whole.slice(first);
  return days.length ? days.reduce((sum, amount) => sum + amount, 0) / days.length : (total.at(-1) ?? 0);
}

export function Spend({ organization, limits }: Shown) {
  const [view, setView] = useState<View>("model");
  const [many, setMany] = useState(28);
  const teams = (organization.teams ?? []).slice(0, maxTeams).map(({ team_id }) => team_id);
  const loaded = useLoad(
    () => spentIn(organization.organization_id, many, teams),
    [organization.organization_id, many],
  );
  return (
    <>
      <Tiles organization={organization} limits={limits} total={loaded.value?.total} />
      <section class="card" aria-labelledby="by-day">
        <div class="card-title">
          <h2 id="by-day">Spend by day</h2>
          <div class="buttons">
            <Segments label="Stacked by" values={views.map((one) => [one, one])} value={view} onValue={setView} />
            <Segments
              label="Time"
              values={spans.map((days) => [days, `${days} days`])}
              value={many}
              onValue={setMany}
            />
          </div>
        </div>
        <Show loaded={loaded}>{(spent) => <Chart spent={spent} view={view} />}</Show>
      </section>
      <Refusals organizationId={organization.organization_id} />
    </>
  );
}

function Chart({ spent, view }: { spent: Spent; view: View }) {
  const series = useMemo(() => largest(spent.of[view], 7), [spent, view]);
  if (!series.length)
    return <Empty title="Nothing was spent in this time">Calls show here once they are settled.</Empty>;
  return <DailyChart label={`Spend by day, stacked by ${view}`} days={spent.days} series={series} />;
}

function Tiles({ organization, limits, total }: Pick<Shown, "organization" | "limits"> & { total?: number[] }) {
  const money = moneyOf(organization, limits);
  const daysLeft = money.resetsAt ? (new Date(money.resetsAt).getTime() - Date.now()) / 86400_000 : null;
  const projected = total && daysLeft !== null ? money.spent + pace(total) * daysLeft : undefined;
  return (
    <div class="tiles">
      <section class="card tile" aria-labelledby="this-period">
        <h2 id="this-period">{money.resetsAt ? "This period" : "So far"}</h2>
        <p class="tile-value">{dollars(money.spent)}</p>
        <Bar label="Spend in this period" spent={money.spent} held={money.held} limit={money.limit} />
      </section>
      <section class="card tile" aria-labelledby="projected">
        <h2 id="projected">Projected end of the period</h2>
        <p class="tile-value">{projected === undefined ? "–" : dollars(projected)}</p>
        <p class="quiet">
          {projected === undefined
            ? money.resetsAt
              ? "Calculating …"
              : "The budget has no period."
            : money.limit !== null && projected > money.limit
              ? `At the pace of the last seven days, that is ${dollars(projected - money.limit)} more than the limit.`
              : "At the pace of the last seven days."}
        </p>
      </section>
      <section class="card tile" aria-labelledby="next-reset">
        <h2 id="next-reset">Next reset</h2>
        <p class="tile-value">{money.resetsAt ? fromNow(money.resetsAt) : "never"}</p>
        <p class="quiet">{money.resetsAt ? date(money.resetsAt) : "Nothing resets this spend."}</p>
      </section>
    </div>
  );
}

function Segments<T extends string | number>({
  label,
  values,
  value,
  onValue,
}: {
  label: string;
  values: (readonly [T, string])[];
  value: T;
  onValue: (value: T) => void;
}) {
  return (
    <fieldset class="segments">
      <legend class="hidden">{label}</legend>
      {values.map(([one, text]) => (
        <label key={one}>
          <input type="radio" name={label} checked={one === value} onChange={() => onValue(one)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}
