// One organization: who it is and what it may spend, and behind tabs what it has.
import { useEffect, useState } from "preact/hooks";

import { BlockDialog } from "../organizations/block";
import { ChangeDialog } from "../organizations/change";
import { DeleteDialog } from "../organizations/delete";
import { GET, Refusal, whole, type LimitState, type Organization as Thing } from "../shared/api";
import { Menu } from "../shared/form";
import { useLoad, type Loaded } from "../shared/load";
import { limitsOf, nameOf, organizationState } from "../shared/organization";
import { Badge, Name, Problem, Show } from "../shared/parts";
import { go, linkTo } from "../shared/router";
import { rightsIn, useSession, type Rights } from "../shared/session";
import { Audit } from "./audit";
import { Events } from "./events";
import { Keys } from "./keys";
import { OrganizationLimits } from "./limits";
import { Members } from "./members";
import { Spend } from "./spend";
import { Teams } from "./teams";

// What the tabs have in common.
export interface Shown {
  organization: Thing;
  etag: string;
  limits: LimitState[]; // of the organization, as they are now
  rights: Rights;
  onChanged: () => void;
}

interface Tab {
  name: string;
  text: string;
  content: (shown: Shown) => preact.JSX.Element;
  isReport?: boolean;
}

const tabs: Tab[] = [
  { name: "spend", text: "Spend", content: (shown) => <Spend {...shown} />, isReport: true },
  { name: "members", text: "Members", content: (shown) => <Members {...shown} /> },
  { name: "teams", text: "Teams", content: (shown) => <Teams {...shown} /> },
  { name: "keys", text: "Keys", content: (shown) => <Keys {...shown} /> },
  { name: "limits", text: "Limits", content: (shown) => <OrganizationLimits {...shown} /> },
  { name: "events", text: "Events", content: (shown) => <Events {...shown} />, isReport: true },
  { name: "audit", text: "Audit log", content: (shown) => <Audit {...shown} />, isReport: true },
];

// Those who may not see the keys of others see the limits that their own key tells of, on their own page.
const limitsIfAny = async (id: string) => limitsOf(id).catch(() => []);

export function Organization({ id, tab }: { id: string; tab?: string }) {
  const loaded = useLoad(async () => {
    const [{ data, etag }, limits] = await Promise.all([
      whole(GET("/organization/info", { params: { query: { organization_id: id } } })),
      limitsIfAny(id),
    ]);
    return { organization: data, etag, limits };
  }, [id]);
  return (
    <>
      <nav aria-label="Where you are">
        <a href={linkTo("organizations")}>Organizations</a>
      </nav>
      <Show loaded={loaded} lines={6}>
        {(value) => <Content {...value} tab={tab} loaded={loaded} />}
      </Show>
    </>
  );
}

function Content({
  tab,
  loaded,
  ...value
}: { tab?: string; loaded: Loaded<unknown> } & Omit<Shown, "rights" | "onChanged">) {
  const { organization, limits } = value;
  const session = useSession();
  const rights = rightsIn(session, organization);
  const [dialog, setDialog] = useState<"change" | "block" | "delete">();
  const open = tabs.filter(({ isReport }) => !isReport || rights.seesReports);
  const shown = tab ? tabs.find(({ name }) => name === tab) : open[0];
  const name = nameOf(organization);
  useEffect(() => {
    document.title = `${name} · pg_org`;
  }, [name]);
  const close = () => setDialog(undefined);
  const done = () => {
    close();
    loaded.reload();
  };
  return (
    <>
      <div class="title">
        <div class="title-text">
          <h1>
            <Name>{name}</Name>
          </h1>
          <Badge state={organizationState(organization, limits)} />
          <Name code>{organization.organization_id}</Name>
        </div>
        {rights.ofPlatform && (
          <Menu
            label={`Actions on ${name}`}
            items={[
              { text: "Change", onSelect: () => setDialog("change") },
              { text: organization.blocked ? "Unblock" : "Block", onSelect: () => setDialog("block") },
              { text: "Delete", isDangerous: true, onSelect: () => setDialog("delete") },
            ]}
          />
        )}
      </div>
      <nav class="tabs" aria-label={`Parts of ${name}`}>
        {open.map((one) => (
          <a
            key={one.name}
            href={linkTo("organizations", organization.organization_id, one.name)}
            aria-current={one === shown ? "page" : undefined}
          >
            {one.text}
          </a>
        ))}
      </nav>
      {shown ? (
        shown.content({ ...value, rights, onChanged: loaded.reload })
      ) : (
        <Problem refusal={new Refusal(404, "There is no such page.", "Choose one from the navigation above.")} />
      )}
      {dialog === "change" && <ChangeDialog organization={organization} onClose={close} onDone={done} />}
      {dialog === "block" && <BlockDialog organization={organization} onClose={close} onDone={done} />}
      {dialog === "delete" && (
        <DeleteDialog organization={organization} onCancel={close} onDone={() => go("organizations")} />
      )}
    </>
  );
}
