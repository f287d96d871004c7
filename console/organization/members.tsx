// The members of an organization: their role, and what each may spend there.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, DELETE, PATCH, POST, type Member } from "../shared/api";
import { dollars, roleName } from "../shared/format";
import { amountIn, Dialog, Editable, Field, Form, Menu, Select, type Choice } from "../shared/form";
import { LimitsDialog } from "../shared/limits";
import { useAct } from "../shared/load";
import { Bar, Empty, Name, Problem, Table } from "../shared/parts";
import type { Shown } from "./page";

const roles: Choice[] = ["internal_user", "internal_user_viewer", "org_admin"].map((role) => [role, roleName(role)]);

const maxShown = 100;

type Open = { act: "add" } | { act: "remove" | "limits"; member: Member };

export function Members({ organization, rights, onChanged }: Shown) {
  const [text, setText] = useState("");
  const [open, setOpen] = useState<Open>();
  const members = organization.members ?? [];
  const wanted = text.trim().toLowerCase();
  const found = members.filter(({ user_id, user_email }) =>
    [user_id, user_email ?? ""].some((name) => name.toLowerCase().includes(wanted)),
  );
  const close = () => setOpen(undefined);
  const done = () => {
    close();
    onChanged();
  };
  return (
    <section class="card" aria-labelledby="members">
      <div class="card-title">
        <h2 id="members">Members</h2>
        {rights.administers && (
          <button type="button" class="primary" onClick={() => setOpen({ act: "add" })}>
            Add a member
          </button>
        )}
      </div>
      {members.length > 10 && (
        <Field label="Find a member" value={text} onValue={setText} placeholder="Part of the address or identifier" />
      )}
      {found.length ? (
        <Table
          label="Table of members"
          head={["Member", "Role", "Spend", "May spend", ...(rights.administers ? [""] : [])]}
        >
          {found.slice(0, maxShown).map((member) => (
            <Row
              key={member.user_id}
              member={member}
              mayEdit={rights.administers}
              onChanged={onChanged}
              onOpen={(act) => setOpen({ act, member })}
            />
          ))}
        </Table>
      ) : (
        <Empty title={members.length ? "No member has this name" : "No members yet"} />
      )}
      {found.length > maxShown && (
        <p class="hint">
          {maxShown} of {found.length} are shown. Type a part of the name to find others.
        </p>
      )}
      {open?.act === "add" && (
        <AddDialog organizationId={organization.organization_id} onClose={close} onDone={done} />
      )}
      {open?.act === "remove" && <RemoveDialog member={open.member} onClose={close} onDone={done} />}
      {open?.act === "limits" && (
        <LimitsDialog
          name={nameOf(open.member)}
          subject="The member"
          limited={open.member.litellm_budget_table ?? {}}
          owner={{ organization_id: open.member.organization_id, user_id: open.member.user_id }}
          change={(change) => update(open.member, change)}
          onClose={close}
          onDone={done}
        />
      )}
    </section>
  );
}

const nameOf = ({ user_email, user_id }: Member) => user_email ?? user_id;

const update = ({ organization_id, user_id }: Member, change: object) =>
  data(PATCH("/organization/member_update", { body: { organization_id, user_id, ...change } }));

function Row({
  member,
  mayEdit,
  onChanged,
  onOpen,
}: {
  member: Member;
  mayEdit: boolean;
  onChanged: () => void;
  onOpen: (act: "remove" | "limits") => void;
}) {
  const role = useAct();
  const name = nameOf(member);
  const cap = member.litellm_budget_table?.max_budget ?? null;
  const setRole = async (next: string) => {
    if (await role.run(() => update(member, { role: next }))) announce(`${name} is now ${roleName(next)}`);
    onChanged();
  };
  const setCap = async (amount: string) => {
    await update(member, { max_budget_in_organization: amountIn(amount) });
    announce("Saved");
    onChanged();
  };
  return (
    <tr>
      <td>
        <Name>{name}</Name>
        {member.user_email && (
          <span class="quiet">
            <Name code>{member.user_id}</Name>
          </span>
        )}
      </td>
      <td>
        {mayEdit ? (
          <>
            <Select isHidden label={`Role of ${name}`} value={member.user_role} choices={roles} onValue={setRole} />
            <Problem refusal={role.refusal} />
          </>
        ) : (
          roleName(member.user_role)
        )}
      </td>
      <td>
        <Bar label={`Spend of ${name}`} spent={member.period_spend} limit={cap} />
      </td>
      <td>
        <Editable
          label={`what ${name} may spend`}
          type="money"
          value={cap === null ? "" : String(cap)}
          shown={cap === null ? <span class="quiet">no limit</span> : dollars(cap)}
          mayEdit={mayEdit}
          onSave={setCap}
        />
      </td>
      {mayEdit && (
        <td>
          <Menu
            label={`Actions on ${name}`}
            items={[
              { text: "Limits", onSelect: () => onOpen("limits") },
              { text: "Remove", isDangerous: true, onSelect: () => onOpen("remove") },
            ]}
          />
        </td>
      )}
    </tr>
  );
}

function AddDialog({
  organizationId,
  onClose,
  onDone,
}: {
  organizationId: string;
  onClose: () => void;
  onDone: () => void;
}) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("internal_user");
  const act = useAct();
  const submit = async () => {
    const who = name.includes("@") ? { user_email: name.trim() } : { user_id: name.trim() };
    const body = { organization_id: organizationId, member: { role, ...who } };
    if (!(await act.run(() => data(POST("/organization/member_add", { body: body as never }))))) return;
    announce(`${name} was added`);
    onDone();
  };
  return (
    <Dialog title="Add a member" onClose={onClose}>
      <Form act={act} submit="Add" onCancel={onClose} onSubmit={submit}>
        <Field
          label="E-mail address or user identifier"
          required
          value={name}
          onValue={setName}
          hint="Who is unknown so far becomes a user."
        />
        <Select label="Role" value={role} choices={roles} onValue={setRole} />
      </Form>
    </Dialog>
  );
}

function RemoveDialog({ member, onClose, onDone }: { member: Member; onClose: () => void; onDone: () => void }) {
  const [tokens, setTokens] = useState<string[]>();
  const act = useAct();
  const { organization_id, user_id } = member;
  const submit = async () => {
    let toRotate: string[] = [];
    const isDone = await act.run(async () => {
      const removed = await data(DELETE("/organization/member_delete", { body: { organization_id, user_id } }));
      toRotate = removed.token_ids_to_rotate;
    });
    if (!isDone) return;
    announce(`${nameOf(member)} was removed`);
    if (toRotate.length) setTokens(toRotate);
    else onDone();
  };
  if (tokens)
    return (
      <Dialog title="Rotate these keys" onClose={onDone}>
        <p>
          <Name>{nameOf(member)}</Name> made these keys, and may have kept their secrets. Rotate them under “Keys”.
        </p>
        <ul class="goes-along">
          {tokens.map((token) => (
            <li key={token}>
              <Name code>{token}</Name>
            </li>
          ))}
        </ul>
        <div class="buttons">
          <button type="button" class="primary" onClick={onDone}>
            Done
          </button>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="Remove the member" onClose={onClose}>
      <Form act={act} submit="Remove" isDangerous onCancel={onClose} onSubmit={submit}>
        <p>
          <Name>{nameOf(member)}</Name> leaves the teams of the organization, and the keys that they have here are
          deleted. The user stays.
        </p>
      </Form>
    </Dialog>
  );
}
