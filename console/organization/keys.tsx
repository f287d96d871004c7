// The keys of an organization, and making new ones.
import { useState } from "preact/hooks";

import { announce } from "../shared/announce";
import { data, GET, POST, type Organization } from "../shared/api";
import { amountIn, Dialog, Field, Form, Select, type Choice } from "../shared/form";
import { KeyTable, laterExpiries, Secret, type AnyKey } from "../shared/keys";
import { useAct, useLoad } from "../shared/load";
import { Empty, Pager, Show, useCursor } from "../shared/parts";
import { periods } from "../shared/periods";
import { administersTeam, useSession } from "../shared/session";
import type { Shown } from "./page";

const pageSize = 25;

export function Keys({ organization, rights }: Shown) {
  const session = useSession();
  const [wanted, setWanted] = useState("");
  const [alias, setAlias] = useState("");
  const [isMaking, setMaking] = useState(false);
  const cursor = useCursor();
  const { organization_id } = organization;
  const loaded = useLoad(() => {
    const query = {
      organization_id,
      include_team_keys: true,
      return_full_object: true,
      expand: "user" as unknown as string[],
      limit: pageSize,
      after: cursor.after || undefined,
      key_alias: wanted || undefined,
    };
    return data(GET("/key/list", { params: { query } }));
  }, [organization_id, wanted, cursor.after]);
  const teams = organization.teams ?? [];
  const adminTeams = teams.filter((team) => administersTeam(session, team));
  const mayMake = rights.administers || adminTeams.length > 0;
  const mayChange = ({ team_id }: AnyKey) =>
    rights.administers || adminTeams.some((team) => team.team_id === team_id);
  const isOwn = ({ user_id }: AnyKey) => user_id !== null && user_id === session.key.user_id;
  return (
    <section class="card" aria-labelledby="keys">
      <div class="card-title">
        <h2 id="keys">Keys</h2>
        {mayMake && (
          <button type="button" class="primary" onClick={() => setMaking(true)}>
            New key
          </button>
        )}
      </div>
      <form
        class="finding"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          cursor.first();
          setWanted(alias.trim());
        }}
      >
        <Field label="Find by its whole name" value={alias} onValue={setAlias} />
        <button type="submit">Find</button>
      </form>
      <Show loaded={loaded}>
        {({ keys, next }) =>
          keys.length ? (
            <>
              <KeyTable
                label="Table of keys"
                keys={keys as AnyKey[]}
                rights={{ mayChange, mayReplace: isOwn }}
                teamName={(id) => teams.find(({ team_id }) => team_id === id)?.team_alias || id}
                onChanged={loaded.reload}
              />
              <Pager label="Pages of keys" cursor={cursor} next={next ?? ""} />
            </>
          ) : (
            <Empty title={wanted ? "No key has this name" : "No keys"}>
              {mayMake ? "Make one with “New key”." : "Ask an administrator to make one for you."}
            </Empty>
          )
        }
      </Show>
      {isMaking && (
        <MakeDialog
          organization={organization}
          teams={rights.administers ? teams : adminTeams}
          needsTeam={!rights.administers}
          onClose={() => setMaking(false)}
          onMade={loaded.reload}
        />
      )}
    </section>
  );
}

function MakeDialog({
  organization,
  teams,
  needsTeam,
  onClose,
  onMade,
}: {
  organization: Organization;
  teams: Organization["teams"] & object;
  needsTeam: boolean;
  onClose: () => void;
  onMade: () => void;
}) {
  const teamChoices: Choice[] = teams.map(({ team_id, team_alias }) => [team_id, team_alias || team_id]);
  const [alias, setAlias] = useState("");
  const [team, setTeam] = useState(needsTeam ? (teamChoices[0]?.[0] ?? "") : "");
  const [user, setUser] = useState("");
  const [budget, setBudget] = useState("");
  const [period, setPeriod] = useState("1mo@UTC");
  const [duration, setDuration] = useState("-1");
  const [secret, setSecret] = useState<string>();
  const act = useAct();
  const submit = async () => {
    const body = {
      organization_id: organization.organization_id,
      key_alias: alias,
      ...(team && { team_id: team }),
      ...(user && { user_id: user }),
      ...(budget && { max_budget: amountIn(budget)!, ...(period && { budget_duration: period }) }),
      ...(duration !== "-1" && { duration }),
    };
    const isDone = await act.run(async () => setSecret((await data(POST("/key/generate", { body }))).key));
    if (!isDone) return;
    announce("The key was made");
    onMade();
  };
  const members: Choice[] = (organization.members ?? []).map(({ user_id, user_email }) => [
    user_id,
    user_email ?? user_id,
  ]);
  return (
    <Dialog title="New key" onClose={onClose}>
      {secret ? (
        <Secret secret={secret} onDone={onClose} />
      ) : (
        <Form act={act} submit="Make" onCancel={onClose} onSubmit={submit}>
          <Field label="Name" required value={alias} onValue={setAlias} />
          <div class="columns">
            <Select
              label="Team"
              value={team}
              choices={needsTeam ? teamChoices : [["", "no team"], ...teamChoices]}
              onValue={setTeam}
            />
            <Select label="User" value={user} choices={[["", "no user"], ...members]} onValue={setUser} />
            <Field
              label="May spend (US dollars)"
              inputMode="decimal"
              value={budget}
              onValue={setBudget}
              hint="Empty: no limit."
            />
            <Select label="Per" value={period} choices={periods(period)} onValue={setPeriod} />
            <Select label="Expires" value={duration} choices={laterExpiries} onValue={setDuration} />
          </div>
        </Form>
      )}
    </Dialog>
  );
}
