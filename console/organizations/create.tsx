// Making an organization.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, POST, type Organization } from "../shared/api";
import { amountIn, Dialog, Field, Form, Select } from "../shared/form";
import { useAct } from "../shared/load";
import { periods } from "../shared/periods";

export function CreateDialog({ onClose, onDone }: { onClose: () => void; onDone: (made: Organization) => void }) {
  const [name, setName] = useState("");
  const [id, setId] = useState("");
  const [budget, setBudget] = useState("");
  const [period, setPeriod] = useState("1mo@UTC");
  const act = useAct();
  const submit = () =>
    act.run(async () => {
      const made = await data(
        POST("/organization/new", {
          body: {
            organization_alias: name,
            ...(id && { organization_id: id }),
            ...(budget && { max_budget: amountIn(budget)!, ...(period && { budget_duration: period }) }),
          },
        }),
      );
      announce(`${name} was made`);
      onDone(made);
    });
  return (
    <Dialog title="New organization" onClose={onClose}>
      <Form act={act} submit="Make" onCancel={onClose} onSubmit={submit}>
        <Field label="Name" required value={name} onValue={setName} />
        <Field
          label="Identifier"
          value={id}
          onValue={setId}
          hint="Without one, a random one is made. It can't be changed later."
        />
        <Field
          label="May spend (US dollars)"
          inputMode="decimal"
          value={budget}
          onValue={setBudget}
          hint="Empty: no limit."
        />
        <Select label="Per" value={period} choices={periods(period)} onValue={setPeriod} />
      </Form>
    </Dialog>
  );
}
