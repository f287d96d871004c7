// Keys in a table, and what can be done with them.  A secret is shown once, right after it was made.
import { useState } from "preact/hooks";

import { announce } from "./announce";
import { data, POST, type Key, type KeyWithUser } from "./api";
import { dateAndTime, dollars, fromNow } from "./format";
import { amountIn, Dialog, Editable, Form, Menu, Select, type Choice, type MenuItem } from "./form";
import { LimitsDialog } from "./limits";
import { useAct } from "./load";
import { Badge, Bar, CopyButton, Name, stateOf, Table, type State } from "./parts";
import { replaceSecret, useSession } from "./session";

export type AnyKey = Key & Partial<Pick<KeyWithUser, "user">>;

export const keyName = ({ key_alias, key_name }: Key) => key_alias || key_name;

function keyState({ blocked, expires, period_spend, max_budget }: Key): State {
  if (blocked) return "blocked";
  if (expires && new Date(expires) <= new Date()) return "expired";
  return stateOf(period_spend, 0, max_budget);
}

export interface KeyRights {
  mayChange: (key: Key) => boolean; // its limits, its expiry, whether it is blocked
  mayReplace: (key: Key) => boolean; // rotate, rename and delete it
}

type Act = "rotate" | "expire" | "block" | "delete" | "limits";

export function KeyTable({
  label,
  keys,
  rights,
  teamName,
  onChanged,
}: {
  label: string;
  keys: AnyKey[];
  rights: KeyRights;
  teamName: (teamId: string) => string;
  onChanged: () => void;
}) {
  const [open, setOpen] = useState<{ act: Act; key: AnyKey }>();
  const close = () => setOpen(undefined);
  const done = () => {
    close();
    onChanged();
  };
  const props = open && { token: open.key, onClose: close, onDone: done };
  return (
    <>
      <Table label={label} head={["Key", "State", "Team and user", "Spend", "May spend", "Expires", ""]}>
        {keys.map((key) => (
          <Row
            key={key.token_id}
            token={key}
            rights={rights}
            teamName={teamName}
            onChanged={onChanged}
            onOpen={(act) => setOpen({ act, key })}
          />
        ))}
      </Table>
      {props && open.act === "rotate" && <RotateDialog {...props} onChanged={onChanged} />}
      {props && open.act === "expire" && <ExpireDialog {...props} />}
      {props && open.act === "block" && <BlockDialog {...props} />}
      {props && open.act === "delete" && <DeleteDialog {...props} />}
      {props && open.act === "limits" && (
        <LimitsDialog
          name={keyName(open.key)}
          subject="The key"
          limited={open.key}
          owner={{ organization_id: open.key.organization_id ?? undefined, key: open.key.token_id }}
          change={(change) => update(open.key, change)}
          onClose={close}
          onDone={done}
        />
      )}
    </>
  );
}

const update = ({ token_id }: Key, change: object) =>
  data(POST("/key/update", { body: { key: token_id, ...change } }));

function Row({
  token,
  rights,
  teamName,
  onChanged,
  onOpen,
}: {
  token: AnyKey;
  rights: KeyRights;
  teamName: (teamId: string) => string;
  onChanged: () => void;
  onOpen: (act: Act) => void;
}) {
  const name = keyName(token);
  const mayChange = rights.mayChange(token);
  const mayReplace = mayChange || rights.mayReplace(token);
  const items: MenuItem[] = [];
  if (mayReplace) items.push({ text: "Rotate", onSelect: () => onOpen("rotate") });
  if (mayChange)
    items.push(
      { text: "Limits", onSelect: () => onOpen("limits") },
      { text: "Expiry", onSelect: () => onOpen("expire") },
      { text: token.blocked ? "Unblock" : "Block", onSelect: () => onOpen("block") },
    );
  if (mayReplace) items.push({ text: "Delete", isDangerous: true, onSelect: () => onOpen("delete") });
  const saveAs = (field: string) => async (value: string) => {
    await update(token, { [field]: field === "max_budget" ? amountIn(value) : value });
    announce("Saved");
    onChanged();
  };
  return (
    <tr>
      <td>
        <Editable
          label={`the name of ${name}`}
          value={token.key_alias ?? ""}
          shown={<Name>{name}</Name>}
          mayEdit={mayReplace}
          onSave={saveAs("key_alias")}
        />
        <span class="quiet">
          <code>{token.key_name}</code>
        </span>
      </td>
      <td>
        <Badge state={keyState(token)} />
      </td>
      <td>
        {token.team_id ? <Name>{teamName(token.team_id)}</Name> : <span class="quiet">no team</span>}
        <span class="quiet">
          {token.user_id ? <Name>{token.user?.user_email ?? token.user_id}</Name> : "no user"}
        </span>
      </td>
      <td>
        <Bar label={`Spend of ${name}`} spent={token.period_spend} limit={token.max_budget} />
      </td>
      <td>
        <Editable
          label={`what ${name} may spend`}
          type="money"
          value={token.max_budget == null ? "" : String(token.max_budget)}
          shown={token.max_budget == null ? <span class="quiet">no limit</span> : dollars(token.max_budget)}
          mayEdit={mayChange}
          onSave={saveAs("max_budget")}
        />
      </td>
      <td>
        {token.expires ? (
          <time dateTime={token.expires} title={dateAndTime(token.expires)}>
            {fromNow(token.expires)}
          </time>
        ) : (
          <span class="quiet">never</span>
        )}
      </td>
      <td>
        <Menu label={`Actions on ${name}`} items={items} />
      </td>
    </tr>
  );
}

export function Secret({ secret, onDone }: { secret: string; onDone: () => void }) {
  return (
    <>
      <p>
        <strong>Copy the secret now: it is shown this once.</strong> Only a digest of it is stored.
      </p>
      <p class="secret" aria-label="The secret">
        {secret}
      </p>
      <div class="buttons">
        <CopyButton label="Copy the secret" text={secret} />
        <button type="button" class="primary" onClick={onDone}>
          Done
        </button>
      </div>
    </>
  );
}

interface DialogProps {
  token: AnyKey;
  onClose: () => void;
  onDone: () => void;
}

const graces: Choice[] = [
  ["", "stops working at once"],
  ["1h", "works for one more hour"],
  ["1d", "works for one more day"],
  ["7d", "works for seven more days"],
];

function RotateDialog({ token, onClose, onDone, onChanged }: DialogProps & { onChanged: () => void }) {
  const [grace, setGrace] = useState("1d");
  const [secret, setSecret] = useState<string>();
  const session = useSession();
  const act = useAct();
  const submit = async () => {
    const isDone = await act.run(async () => {
      const body = { key: token.token_id, ...(grace && { grace_period: grace }) };
      const { key } = await data(POST("/key/regenerate", { body }));
      if (token.token_id === session.key.token_id) replaceSecret(key);
      setSecret(key);
    });
    if (!isDone) return;
    announce("The key has a new secret");
    onChanged();
  };
  return (
    <Dialog title={`Rotate ${keyName(token)}`} onClose={secret ? onDone : onClose}>
      {secret ? (
        <Secret secret={secret} onDone={onDone} />
      ) : (
        <Form act={act} submit="Rotate" onCancel={onClose} onSubmit={submit}>
          <p>The key gets a new secret. Everything else about it stays.</p>
          <Select
            label="The old secret"
            value={grace}
            choices={graces}
            onValue={setGrace}
            hint="In that time it reads and calls models, but changes nothing."
          />
        </Form>
      )}
    </Dialog>
  );
}

const expiries: Choice[] = [
  ["1s", "now"],
  ["1h", "in one hour"],
  ["1d", "in one day"],
  ["7d", "in seven days"],
  ["30d", "in 30 days"],
  ["365d", "in 365 days"],
  ["-1", "never"],
];

export const laterExpiries = expiries.slice(1);

function ExpireDialog({ token, onClose, onDone }: DialogProps) {
  const [duration, setDuration] = useState("30d");
  const act = useAct();
  const submit = async () => {
    if (!(await act.run(() => update(token, { duration })))) return;
    announce("The expiry was saved");
    onDone();
  };
  return (
    <Dialog title={`Expiry of ${keyName(token)}`} onClose={onClose}>
      <Form act={act} submit="Save" onCancel={onClose} onSubmit={submit}>
        <Select label="The key expires" value={duration} choices={expiries} onValue={setDuration} />
      </Form>
    </Dialog>
  );
}

function BlockDialog({ token, onClose, onDone }: DialogProps) {
  const act = useAct();
  const body = { key: token.token_id };
  const submit = async () => {
    const change = () => data<unknown>(token.blocked ? POST("/key/unblock", { body }) : POST("/key/block", { body }));
    if (!(await act.run(change))) return;
    announce(`${keyName(token)} is ${token.blocked ? "no longer blocked" : "blocked"}`);
    onDone();
  };
  return (
    <Dialog title={`${token.blocked ? "Unblock" : "Block"} ${keyName(token)}`} onClose={onClose}>
      <Form
        act={act}
        submit={token.blocked ? "Unblock" : "Block"}
        isDangerous={!token.blocked}
        onCancel={onClose}
        onSubmit={submit}
      >
        <p>{token.blocked ? "The key works again." : "The key is refused everywhere until it is unblocked."}</p>
      </Form>
    </Dialog>
  );
}

function DeleteDialog({ token, onClose, onDone }: DialogProps) {
  const act = useAct();
  const submit = async () => {
    if (!(await act.run(() => data(POST("/key/delete", { body: { keys: [token.token_id] } }))))) return;
    announce(`${keyName(token)} was deleted`);
    onDone();
  };
  return (
    <Dialog title={`Delete ${keyName(token)}`} onClose={onClose}>
      <Form act={act} submit="Delete for ever" isDangerous onCancel={onClose} onSubmit={submit}>
        <p>It stops working at once, for ever. What was spent with it stays in the reports.</p>
      </Form>
    </Dialog>
  );
}
