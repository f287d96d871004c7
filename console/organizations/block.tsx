// Blocking an organization, and the way back.
import { announce } from "../shared/announce";
import { data, POST, type Organization } from "../shared/api";
import { Dialog, Form } from "../shared/form";
import { useAct } from "../shared/load";
import { nameOf } from "../shared/organization";
import { Name } from "../shared/parts";

export function BlockDialog({
  organization,
  onClose,
  onDone,
}: {
  organization: Organization;
  onClose: () => void;
  onDone: () => void;
}) {
  const act = useAct();
  const { organization_id, blocked } = organization;
  const verb = blocked ? "Unblock" : "Block";
  const submit = async () => {
    const body = { organization_id };
    const isDone = await act.run(() =>
      data<unknown>(blocked ? POST("/organization/unblock", { body }) : POST("/organization/block", { body })),
    );
    if (!isDone) return;
    announce(`${nameOf(organization)} is ${blocked ? "no longer blocked" : "blocked"}`);
    onDone();
  };
  return (
    <Dialog title={`${verb} the organization`} onClose={onClose}>
      <Form act={act} submit={verb} isDangerous={!blocked} onCancel={onClose} onSubmit={submit}>
        <p>
          {blocked ? (
            <>
              The keys of <Name>{nameOf(organization)}</Name> may call models again.
            </>
          ) : (
            <>
              All calls of models with keys of <Name>{nameOf(organization)}</Name> are refused until it is unblocked.
              Nothing is deleted.
            </>
          )}
        </p>
      </Form>
    </Dialog>
  );
}
