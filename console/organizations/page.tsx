// The organizations: found by name, page by page, with what they have spent and may spend.
import { useEffect, useState } from "preact/hooks";

import { GET, whole, type LimitState, type Organization, type Page } from "../shared/api";
import { date, fromNow } from "../shared/format";
import { Menu } from "../shared/form";
import { useLoad } from "../shared/load";
import { limitsOfAll, moneyOf, nameOf, organizationState } from "../shared/organization";
import { Badge, Bar, Empty, Name, Pager, Show, useCursor } from "../shared/parts";
import { go, linkTo } from "../shared/router";
import { useSession } from "../shared/session";
import { BlockDialog } from "./block";
import { ChangeDialog } from "./change";
import { CreateDialog } from "./create";
import { DeleteDialog } from "./delete";

const pageSize = 25;

// By a part of the name; or else by the whole identifier.
async function find(text: string, after: string): Promise<Page<Organization[]>> {
  const query = { limit: pageSize, after: after || undefined };
  const found = await whole(
    GET("/organization/list", { params: { query: { ...query, org_alias: text || undefined } } }),
  );
  if (!text || found.data.length || after) return found;
  return whole(GET("/organization/list", { params: { query: { ...query, org_id: text } } }));
}

type Dialog = { act: "create" } | { act: "change" | "block" | "delete"; organization: Organization };

export function Organizations() {
  const { isAdmin } = useSession();
  const [text, setText] = useState("");
  const [wanted, setWanted] = useState("");
  const [dialog, setDialog] = useState<Dialog>();
  const cursor = useCursor();
  const list = useLoad(() => find(wanted, cursor.after), [wanted, cursor.after], true);
  const organizations = list.value?.data;
  const limits = useLoad((signal) => limitsOfAll(organizations ?? [], signal), [organizations], true);

  useEffect(() => {
    document.title = "Organizations · pg_org";
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => {
      if (text.trim() === wanted) return;
      cursor.first();
      setWanted(text.trim());
    }, 100);
    return () => clearTimeout(timer);
  }, [text]);

  const close = () => setDialog(undefined);
  const done = () => {
    close();
    list.reload();
  };
  return (
    <>
      <div class="title">
        <h1>Organizations</h1>
        {isAdmin && (
          <button type="button" class="primary" onClick={() => setDialog({ act: "create" })}>
            New organization
          </button>
        )}
      </div>
      <search>
        <label class="search">
          <span class="hidden">Search by name or identifier</span>
          <input
            type="search"
            dir="auto"
            placeholder="Search by name or identifier"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </search>
      <Show loaded={list} lines={8}>
        {({ data, next }) =>
          data.length ? (
            <>
              <ul class="rows" aria-label="Organizations">
                {data.map((organization) => (
                  <Row
                    key={organization.organization_id}
                    organization={organization}
                    limits={limits.value?.get(organization.organization_id)}
                    onAct={isAdmin ? (act) => setDialog({ act, organization }) : undefined}
                  />
                ))}
              </ul>
              <Pager label="Pages of organizations" cursor={cursor} next={next} />
            </>
          ) : (
            <Nothing text={wanted} isAdmin={isAdmin} />
          )
        }
      </Show>
      {dialog?.act === "create" && (
        <CreateDialog onClose={close} onDone={({ organization_id }) => go("organizations", organization_id)} />
      )}
      {dialog?.act === "change" && <ChangeDialog organization={dialog.organization} onClose={close} onDone={done} />}
      {dialog?.act === "block" && <BlockDialog organization={dialog.organization} onClose={close} onDone={done} />}
      {dialog?.act === "delete" && <DeleteDialog organization={dialog.organization} onCancel={close} onDone={done} />}
    </>
  );
}

function Nothing({ text, isAdmin }: { text: string; isAdmin: boolean }) {
  if (text)
    return (
      <Empty title="No organization has this name or identifier">
        Type another part of the name, or the whole identifier.
      </Empty>
    );
  return (
    <Empty title="No organizations yet">
      {isAdmin ? "Make the first one with “New organization”." : "Ask an administrator to add you to one."}
    </Empty>
  );
}

function Row({
  organization,
  limits,
  onAct,
}: {
  organization: Organization;
  limits?: LimitState[];
  onAct?: (act: "change" | "block" | "delete") => void;
}) {
  const money = moneyOf(organization, limits);
  const name = nameOf(organization);
  return (
    <li class="row">
      <div class="row-name">
        <a href={linkTo("organizations", organization.organization_id)}>
          <Name>{name}</Name>
        </a>
        <Name code>{organization.organization_id}</Name>
      </div>
      <div class="row-state">
        <Badge state={organizationState(organization, limits)} />
      </div>
      <div class="row-bar">
        <Bar label={`Spend of ${name}`} spent={money.spent} held={money.held} limit={money.limit} />
      </div>
      <div class="row-reset quiet">
        {money.resetsAt ? (
          <time dateTime={money.resetsAt} title={date(money.resetsAt)}>
            resets {fromNow(money.resetsAt)}
          </time>
        ) : (
          "never resets"
        )}
      </div>
      {onAct && (
        <Menu
          label={`Actions on ${name}`}
          items={[
            { text: "Change", onSelect: () => onAct("change") },
            { text: organization.blocked ? "Unblock" : "Block", onSelect: () => onAct("block") },
            { text: "Delete", isDangerous: true, onSelect: () => onAct("delete") },
          ]}
        />
      )}
    </li>
  );
}
