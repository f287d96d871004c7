// Who is in a team, and with which role.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, POST, type Team } from "../shared/api";
import { roleName } from "../shared/format";
import { Dialog, Field, Form, Select, type Choice } from "../shared/form";
import { useAct } from "../shared/load";
import { Empty, Name, Problem, Table } from "../shared/parts";
import { administersTeam, useSession } from "../shared/session";

const roles: Choice[] = ["user", "admin"].map((role) => [role, roleName(role)]);

export function TeamMembers({
  team,
  mayEdit,
  onClose,
  onChanged,
}: {
  team: Team;
  mayEdit: boolean;
  onClose: () => void;
  onChanged: () => void;
}) {
  const session = useSession();
  const may = mayEdit || administersTeam(session, team);
  const [members, setMembers] = useState(team.members_with_roles);
  const [name, setName] = useState("");
  const [role, setRole] = useState("user");
  const act = useAct();
  const adding = useAct();
  const { team_id } = team;

  const change = async (user_id: string, next: string) => {
    const isDone = await act.run(() => data(POST("/team/member_update", { body: { team_id, user_id, role: next } })));
    if (!isDone) return;
    setMembers(members.map((member) => (member.user_id === user_id ? { ...member, role: next } : member)));
    announce("Saved");
    onChanged();
  };
  const remove = async (user_id: string) => {
    const isDone = await act.run(() => data<unknown>(POST("/team/member_delete", { body: { team_id, user_id } })));
    if (!isDone) return;
    setMembers(members.filter((member) => member.user_id !== user_id));
    announce("Removed from the team");
    onChanged();
  };
  const add = async () => {
    const who = name.includes("@") ? { user_email: name.trim() } : { user_id: name.trim() };
    const isDone = await adding.run(async () => {
      const changed = await data(POST("/team/member_add", { body: { team_id, member: { role, ...who } as never } }));
      setMembers(changed.members_with_roles);
    });
    if (!isDone) return;
    setName("");
    announce("Added to the team");
    onChanged();
  };
  return (
    <Dialog wide title="Members of the team" onClose={onClose}>
      {members.length ? (
        <Table label="Table of members of the team" head={["Member", "Role", ...(may ? [""] : [])]}>
          {members.map((member) => {
            const shown = member.user_email ?? member.user_id;
            return (
              <tr key={member.user_id}>
                <td>
                  <Name>{shown}</Name>
                </td>
                <td>
                  {may ? (
                    <Select
                      isHidden
                      label={`Role of ${shown}`}
                      value={member.role}
                      choices={roles}
                      onValue={(next) => change(member.user_id, next)}
                    />
                  ) : (
                    roleName(member.role)
                  )}
                </td>
                {may && (
                  <td>
                    <button type="button" onClick={() => remove(member.user_id)} aria-label={`Remove ${shown}`}>
                      Remove
                    </button>
                  </td>
                )}
              </tr>
            );
          })}
        </Table>
      ) : (
        <Empty title="Nobody is in this team" />
      )}
      <Problem refusal={act.refusal} />
      {may && (
        <Form act={adding} submit="Add" isDisabled={!name.trim()} onSubmit={add}>
          <div class="columns">
            <Field label="E-mail address or user identifier" value={name} onValue={setName} />
            <Select label="Role" value={role} choices={roles} onValue={setRole} />
          </div>
        </Form>
      )}
    </Dialog>
  );
}
