// Deleting an organization: what goes along is told before, and the receipt after.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, DELETE, GET, type Organization } from "../shared/api";
import { dateAndTime, dollars, plural } from "../shared/format";
import { CopyButton, Name, Show } from "../shared/parts";
import { Dialog, Field, Form } from "../shared/form";
import { useAct, useLoad } from "../shared/load";
import { nameOf } from "../shared/organization";

interface Preview {
  organization: Organization;
  keys: number;
  endUsers: string;
}

const maxEndUsers = 1000;

async function preview(organization_id: string): Promise<Preview> {
  const [organization, { total_count }, endUsers] = await Promise.all([
    data(GET("/organization/info", { params: { query: { organization_id } } })),
    data(GET("/key/list", { params: { query: { organization_id, size: 1 } } })),
    data(GET("/customer/list", { params: { query: { organization_id, limit: maxEndUsers } } })),
  ]);
  const count = plural(endUsers.length, "end user");
  return {
    organization,
    keys: total_count ?? 0,
    endUsers: endUsers.length === maxEndUsers ? `at least ${count}` : count,
  };
}

export function DeleteDialog({
  organization,
  onCancel,
  onDone,
}: {
  organization: Organization;
  onCancel: () => void;
  onDone: () => void; // when the receipt was read
}) {
  const loaded = useLoad(() => preview(organization.organization_id), []);
  const [receipt, setReceipt] = useState<{ deleted: Organization; at: Date }>();
  if (receipt)
    return (
      <Dialog title="Deleted" onClose={onDone}>
        <Receipt {...receipt} keys={loaded.value!.keys} />
        <div class="buttons">
          <CopyButton
            label="Copy the receipt"
            text={JSON.stringify({ deleted_at: receipt.at, ...receipt.deleted }, null, 2)}
          />
          <button type="button" class="primary" onClick={onDone}>
            Done
          </button>
        </div>
      </Dialog>
    );
  return (
    <Dialog title="Delete the organization" onClose={onCancel}>
      <Show loaded={loaded}>
        {(found) => (
          <Confirm
            preview={found}
            onCancel={onCancel}
            onDeleted={(deleted) => {
              setReceipt({ deleted, at: new Date() });
              announce(`${nameOf(deleted)} was deleted`);
            }}
          />
        )}
      </Show>
    </Dialog>
  );
}

function Confirm({
  preview: { organization, keys, endUsers },
  onCancel,
  onDeleted,
}: {
  preview: Preview;
  onCancel: () => void;
  onDeleted: (organization: Organization) => void;
}) {
  const [typed, setTyped] = useState("");
  const act = useAct();
  const name = nameOf(organization);
  const submit = () =>
    act.run(async () => {
      const body = { organization_ids: [organization.organization_id] };
      const [deleted] = await data(DELETE("/organization/delete", { body }));
      onDeleted(deleted!);
    });
  return (
    <Form
      act={act}
      submit="Delete for ever"
      isDangerous
      isDisabled={typed !== name}
      onCancel={onCancel}
      onSubmit={submit}
    >
      <p>
        With <Name>{name}</Name> go, for ever:
      </p>
      <ul class="goes-along">
        <li>{plural(organization.teams?.length ?? 0, "team")}</li>
        <li>{plural(keys, "key")}, refused from then on</li>
        <li>{plural(organization.members?.length ?? 0, "membership")}; the users themselves stay</li>
        <li>{endUsers}</li>
        <li>its limits, and the budgets that nobody else uses</li>
      </ul>
      <p>It has spent {dollars(organization.spend)} in all. The audit log keeps what was deleted.</p>
      <Field label={`Type the name “${name}” to confirm`} value={typed} onValue={setTyped} />
    </Form>
  );
}

function Receipt({ deleted, at, keys }: { deleted: Organization; at: Date; keys: number }) {
  return (
    <dl class="facts">
      <dt>Organization</dt>
      <dd>
        <Name>{nameOf(deleted)}</Name> (<Name code>{deleted.organization_id}</Name>)
      </dd>
      <dt>Deleted</dt>
      <dd>{dateAndTime(at)}</dd>
      <dt>Went along</dt>
      <dd>
        {plural(deleted.teams?.length ?? 0, "team")}, {plural(deleted.members?.length ?? 0, "membership")},{" "}
        {plural(keys, "key")}
      </dd>
      <dt>Had spent</dt>
      <dd>{dollars(deleted.spend)}</dd>
    </dl>
  );
}
