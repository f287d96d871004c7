// Signs in with a key, and finds out from the routes whose it is and what it may do.  The key stays in memory; the
// device keeps it only if the reader asks for that.
import { createContext } from "preact";
import { useContext } from "preact/hooks";

import { data, GET, Refusal, sendKey, type Key, type Organization, type Team } from "./api";
import { roleName } from "./format";

const place = "pg_org.console.key";

export interface Session {
  key: Key;
  name: string;
  role: string;
  isAdmin: boolean; // of the platform
  seesAll: boolean; // a platform admin or viewer
  seesOrganizations: boolean;
  home: "organizations" | "own"; // where the reader begins
}

export function rememberedKey(): string {
  try {
    return localStorage.getItem(place) ?? "";
  } catch {
    return ""; // the browser keeps nothing for this page
  }
}

function remember(secret: string): void {
  try {
    if (secret) localStorage.setItem(place, secret);
    else localStorage.removeItem(place);
  } catch {
    // then the key is in memory only
  }
}

export async function signIn(secret: string, keep: boolean, whenRefused: () => void): Promise<Session> {
  sendKey(secret, () => {});
  try {
    const session = await look();
    sendKey(secret, whenRefused);
    remember(keep ? secret : "");
    return session;
  } catch (error) {
    sendKey("", () => {});
    throw error;
  }
}

export function signOut(): void {
  sendKey("", () => {});
  remember("");
}

// The key that is signed in with has another secret now.
export function replaceSecret(secret: string): void {
  sendKey(secret);
  if (rememberedKey()) remember(secret);
}

// Members of nothing, and keys without a user, have no user or organization to show.
async function ifAny<T>(request: Promise<T>): Promise<T | null> {
  try {
    return await request;
  } catch (error) {
    if (error instanceof Refusal && error.status >= 400 && error.status < 500) return null;
    throw error;
  }
}

async function look(): Promise<Session> {
  const { info: key } = await data(GET("/key/info", {}));
  const user = key.user_id ? await ifAny(data(GET("/v2/user/info", {}))) : null;
  // A key that belongs to an organization does not have its user's role on the platform.
  const platformRole = key.organization_id ? null : (user?.user_role ?? null);
  const isAdmin = platformRole === "proxy_admin";
  const seesAll = isAdmin || platformRole === "proxy_admin_viewer";
  const organizations = seesAll
    ? []
    : ((await ifAny(data(GET("/organization/list", { params: { query: { limit: 2 } } })))) ?? []);
  const administers = organizations.some((organization) => memberRole(key, organization) === "org_admin");
  const session: Omit<Session, "role"> = {
    key,
    home: seesAll || administers ? "organizations" : "own",
    name: user?.user_alias || user?.user_email || key.user_id || key.key_alias || key.key_name,
    isAdmin,
    seesAll,
    seesOrganizations: seesAll || organizations.length > 0,
  };
  return { ...session, role: seesAll ? roleName(platformRole) : roleIn(key, organizations) };
}

function roleIn(key: Key, organizations: Organization[]): string {
  const [first, second] = organizations;
  if (!first) return key.user_id ? "User without organization" : "Key without user";
  if (second) return `Member of several organizations`;
  const name = first.organization_alias || first.organization_id;
  const role = memberRole(key, first);
  return role ? `${roleName(role)} of ${name}` : `Key of ${name}`;
}

function memberRole(key: Key, organization: Organization): string | null {
  return (key.user_id && organization.members?.find(({ user_id }) => user_id === key.user_id)?.user_role) || null;
}

export const SessionContext = createContext<Session>(null as unknown as Session);
export const useSession = () => useContext(SessionContext);

// What the caller may do in an organization.
export interface Rights {
  ofPlatform: boolean; // make, change, block and delete organizations
  administers: boolean; // change what the organization has
  seesReports: boolean; // its activity, events and audit log
}

export function rightsIn({ key, isAdmin, seesAll }: Session, organization: Organization): Rights {
  const administers = isAdmin || memberRole(key, organization) === "org_admin";
  return { ofPlatform: isAdmin, administers, seesReports: administers || seesAll };
}

export const administersTeam = ({ key }: Session, team: Pick<Team, "members_with_roles">) =>
  team.members_with_roles.some(({ user_id, role }) => user_id === key.user_id && role === "admin");
