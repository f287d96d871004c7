// What events and refusals say of limits that were reached.
import { data, POST, type Event } from "./api";
import { sentenceOf, type Sentence } from "./sentence";

export interface OwnedLimit extends Sentence {
  owner: string;
  id: string;
}

export interface Reached extends OwnedLimit {
  part: string | null;
  spent: number;
}

export const reachedIn = ({ kind, data: about }: Event): Reached | undefined =>
  /^(budget|limit)\./.test(kind) ? (about as unknown as Reached) : undefined;

const subjects: Record<string, string> = {
  organization: "All together",
  team: "Team",
  member: "Member",
  team_member: "Team member",
  user: "User",
  end_user: "End user",
  key: "Key",
};

// As a sentence; of keys with their names, as far as those are known.
export function reachedText(limit: OwnedLimit, keyNames: Map<string, string>): string {
  const { owner, id, each } = limit;
  const subject = subjects[owner] ?? owner;
  const whole = owner === "organization" ? subject : `${subject} ${keyNames.get(id) ?? id}`;
  return each && owner !== "organization" ? `${whole}: ${sentenceOf(limit)}` : sentenceOf(limit, whole);
}

// By token_id.
export async function keyNamesOf(limits: OwnedLimit[]): Promise<Map<string, string>> {
  const keys = [...new Set(limits.filter(({ owner }) => owner === "key").map(({ id }) => id))];
  if (!keys.length) return new Map();
  const { info } = await data(POST("/v2/key/info", { body: { keys } }));
  return new Map(info.map(({ token_id, key_alias }) => [token_id, key_alias ?? token_id]));
}
