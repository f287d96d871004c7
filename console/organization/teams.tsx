// The teams of an organization: what each may spend, and who is in it.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, GET, POST, Refusal, whole, type Team } from "../shared/api";
import { ChangeForm, listOf } from "../shared/change";
import { dollars, plural } from "../shared/format";
import { amountIn, Dialog, Editable, Field, Form, Menu, Select, type MenuItem } from "../shared/form";
import { LimitsDialog } from "../shared/limits";
import { useAct, useLoad } from "../shared/load";
import { Badge, Bar, Empty, Name, Pager, Show, stateOf, Table, useCursor } from "../shared/parts";
import { periods } from "../shared/periods";
import { administersTeam, useSession } from "../shared/session";
import { shownValue } from "../shared/values";
import type { Shown } from "./page";
import { TeamMembers } from "./team-members";

const pageSize = 25;

type Act = "change" | "block" | "delete" | "limits" | "members";
type Open = { act: "create" } | { act: Act; team: Team };

const nameOf = ({ team_alias, team_id }: Team) => team_alias || team_id;

const look = (team_id: string) => whole(GET("/team/info", { params: { query: { team_id } } }));

const teamFields = (team: Pick<Team, "models"> & Partial<Team>): Record<string, unknown> => ({
  Name: team.team_alias,
  "May spend": team.max_budget,
  Per: team.budget_duration,
  "Requests per minute": team.rpm_limit,
  "Tokens per minute": team.tpm_limit,
  Models: team.models,
  Blocked: team.blocked,
  Limits: team.limits,
});

// The team as it is, with its tag.
async function lookAt(team_id: string) {
  const { data: found, etag } = await look(team_id);
  return { data: found.team_info, etag };
}

const send = (team_id: string, change: object, etag: string) =>
  data(POST("/team/update", { params: { header: { "If-Match": etag } }, body: { team_id, ...change } }));

// Changes a team of the list, unless it is not any more what the list shows.
async function changeAsSeen(seen: Team, change: object): Promise<void> {
  const { data: now, etag } = await lookAt(seen.team_id);
  const before = teamFields(seen);
  const after = teamFields(now);
  const fields = Object.keys(after).filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
  if (fields.length) {
    const told = fields.map((field) => `${field} from ${shownValue(before[field])} to ${shownValue(after[field])}`);
    throw new Refusal(
      412,
      `Somebody else changed ${told.join(", ")}.`,
      "Cancel, load the page again, and change it then.",
    );
  }
  await send(seen.team_id, change, etag);
}

export function Teams({ organization: { organization_id }, rights, onChanged }: Shown) {
  const [open, setOpen] = useState<Open>();
  const cursor = useCursor();
  const loaded = useLoad(() => {
    const query = { organization_id, limit: pageSize, after: cursor.after || undefined };
    return data(GET("/v2/team/list", { params: { query } }));
  }, [organization_id, cursor.after]);
  const close = () => setOpen(undefined);
  const done = () => {
    close();
    loaded.reload();
    onChanged();
  };
  const team = open && "team" in open ? open.team : undefined;
  return (
    <section class="card" aria-labelledby="teams">
      <div class="card-title">
        <h2 id="teams">Teams</h2>
        {rights.administers && (
          <button type="button" class="primary" onClick={() => setOpen({ act: "create" })}>
            New team
          </button>
        )}
      </div>
      <Show loaded={loaded}>
        {({ teams, next }) =>
          teams.length ? (
            <>
              <Table label="Table of teams" head={["Team", "State", "Members", "Spend", "May spend", ""]}>
                {teams.map((one) => (
                  <Row
                    key={one.team_id}
                    team={one}
                    mayChange={rights.administers}
                    onChanged={done}
                    onOpen={(act) => setOpen({ act, team: one })}
                  />
                ))}
              </Table>
              <Pager label="Pages of teams" cursor={cursor} next={next ?? ""} />
            </>
          ) : (
            <Empty title="No teams">
              {rights.administers
                ? "Make one to give several people keys and a budget together."
                : "You are in no team here."}
            </Empty>
          )
        }
      </Show>
      {open?.act === "create" && <CreateDialog organizationId={organization_id} onClose={close} onDone={done} />}
      {team && open?.act === "change" && <ChangeDialog team={team} onClose={close} onDone={done} />}
      {team && open?.act === "block" && <BlockDialog team={team} onClose={close} onDone={done} />}
      {team && open?.act === "delete" && <DeleteDialog team={team} onClose={close} onDone={done} />}
      {team && open?.act === "limits" && (
        <LimitsDialog
          name={nameOf(team)}
          subject="The team"
          limited={team}
          owner={{ organization_id: team.organization_id ?? undefined, team_id: team.team_id }}
          change={(change) => changeAsSeen(team, change)}
          onClose={close}
          onDone={done}
        />
      )}
      {team && open?.act === "members" && (
        <TeamMembers team={team} mayEdit={rights.administers} onClose={close} onChanged={loaded.reload} />
      )}
    </section>
  );
}

function Row({
  team,
  mayChange,
  onChanged,
  onOpen,
}: {
  team: Team;
  mayChange: boolean;
  onChanged: () => void;
  onOpen: (act: Act) => void;
}) {
  const session = useSession();
  const name = nameOf(team);
  const items: MenuItem[] = [{ text: "Members", onSelect: () => onOpen("members") }];
  if (mayChange)
    items.push(
      { text: "Change", onSelect: () => onOpen("change") },
      { text: "Limits", onSelect: () => onOpen("limits") },
      { text: team.blocked ? "Unblock" : "Block", onSelect: () => onOpen("block") },
      { text: "Delete", isDangerous: true, onSelect: () => onOpen("delete") },
    );
  const saveAs = (field: string) => async (value: string) => {
    await changeAsSeen(team, { [field]: field === "max_budget" ? amountIn(value) : value });
    announce("Saved");
    onChanged();
  };
  return (
    <tr>
      <td>
        <Editable
          label={`the name of ${name}`}
          value={team.team_alias ?? ""}
          shown={<Name>{name}</Name>}
          mayEdit={mayChange || administersTeam(session, team)}
          onSave={saveAs("team_alias")}
        />
        <span class="quiet">
          <Name code>{team.team_id}</Name>
        </span>
      </td>
      <td>
        <Badge state={team.blocked ? "blocked" : stateOf(team.period_spend, 0, team.max_budget)} />
      </td>
      <td>{plural(team.members_with_roles.length, "member")}</td>
      <td>
        <Bar label={`Spend of ${name}`} spent={team.period_spend} limit={team.max_budget} />
      </td>
      <td>
        <Editable
          label={`what ${name} may spend`}
          type="money"
          value={team.max_budget == null ? "" : String(team.max_budget)}
          shown={team.max_budget == null ? <span class="quiet">no limit</span> : dollars(team.max_budget)}
          mayEdit={mayChange}
          onSave={saveAs("max_budget")}
        />
      </td>
      <td>
        <Menu label={`Actions on ${name}`} items={items} />
      </td>
    </tr>
  );
}

interface DialogProps {
  team: Team;
  onClose: () => void;
  onDone: () => void;
}

function CreateDialog({
  organizationId,
  onClose,
  onDone,
}: {
  organizationId: string;
  onClose: () => void;
  onDone: () => void;
}) {
  const [name, setName] = useState("");
  const [budget, setBudget] = useState("");
  const [period, setPeriod] = useState("1mo@UTC");
  const [models, setModels] = useState("");
  const act = useAct();
  const submit = async () => {
    const body = {
      organization_id: organizationId,
      team_alias: name,
      ...(budget && { max_budget: amountIn(budget)!, ...(period && { budget_duration: period }) }),
      ...(models && { models: listOf(models) }),
    };
    if (!(await act.run(() => data(POST("/team/new", { body }))))) return;
    announce(`${name} was made`);
    onDone();
  };
  return (
    <Dialog title="New team" onClose={onClose}>
      <Form act={act} submit="Make" onCancel={onClose} onSubmit={submit}>
        <Field label="Name" required value={name} onValue={setName} />
        <Field
          label="May spend (US dollars)"
          inputMode="decimal"
          value={budget}
          onValue={setBudget}
          hint="Empty: no limit."
        />
        <Select label="Per" value={period} choices={periods(period)} onValue={setPeriod} />
        <Field
          label="Models"
          value={models}
          onValue={setModels}
          hint="Separated by commas. Empty: those of the organization."
        />
      </Form>
    </Dialog>
  );
}

function ChangeDialog({ team, onClose, onDone }: DialogProps) {
  const load = () => lookAt(team.team_id);
  const loaded = useLoad(load, []);
  return (
    <Dialog title="Change the team" onClose={onClose}>
      <Show loaded={loaded}>
        {(seen) => (
          <ChangeForm
            seen={seen}
            nameField="team_alias"
            name={seen.data.team_alias}
            budget={seen.data}
            load={load}
            send={(patch, etag) => send(team.team_id, patch, etag)}
            fieldsOf={teamFields}
            onClose={onClose}
            onDone={onDone}
          />
        )}
      </Show>
    </Dialog>
  );
}

function BlockDialog({ team, onClose, onDone }: DialogProps) {
  const act = useAct();
  const body = { team_id: team.team_id };
  const submit = async () => {
    const change = () =>
      data<unknown>(team.blocked ? POST("/team/unblock", { body }) : POST("/team/block", { body }));
    if (!(await act.run(change))) return;
    announce(`${nameOf(team)} is ${team.blocked ? "no longer blocked" : "blocked"}`);
    onDone();
  };
  return (
    <Dialog title={team.blocked ? "Unblock the team" : "Block the team"} onClose={onClose}>
      <Form
        act={act}
        submit={team.blocked ? "Unblock" : "Block"}
        isDangerous={!team.blocked}
        onCancel={onClose}
        onSubmit={submit}
      >
        <p>
          {team.blocked
            ? "The keys of the team may call models again."
            : "All calls with the keys of the team are refused."}
        </p>
      </Form>
    </Dialog>
  );
}

function DeleteDialog({ team, onClose, onDone }: DialogProps) {
  const [typed, setTyped] = useState("");
  const act = useAct();
  const name = nameOf(team);
  const submit = async () => {
    if (!(await act.run(() => data<unknown>(POST("/team/delete", { body: { team_ids: [team.team_id] } }))))) return;
    announce(`${name} was deleted`);
    onDone();
  };
  return (
    <Dialog title="Delete the team" onClose={onClose}>
      <Form
        act={act}
        submit="Delete for ever"
        isDangerous
        isDisabled={typed !== name}
        onCancel={onClose}
        onSubmit={submit}
      >
        <p>
          With <Name>{name}</Name> go {plural(team.keys.length, "key")} that you may see, and{" "}
          {plural(team.members_with_roles.length, "membership")}. What it spent stays with the organization.
        </p>
        <Field label={`Type the name “${name}” to confirm`} value={typed} onValue={setTyped} />
      </Form>
    </Dialog>
  );
}
