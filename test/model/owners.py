"""The owners of calls: who there is, by what a call or somebody who asks names them with."""

from limits import Owner, Subject
from refused import Refused

KINDS = ("organization", "team", "member", "team_member", "user", "end_user_of_platform", "end_user", "key")


class Owners:
    """Knows the facts."""

    def owners(self, subject):
        """Whose limits a call must keep, in the order in which they are asked."""
        owners = [self.owner(kind, subject) for kind in KINDS]
        return [owner for owner in owners if owner]

    def owner(self, kind, subject):
        """The owner of that kind of such calls; None if there is none."""
        facts = self.facts
        o, t, u = subject.organization_id, subject.team_id, subject.user_id
        k, e = subject.key_id, subject.end_user
        if kind == "organization":
            found, owner_id, among, counts = facts.organizations.get(o), o, (kind, o), lambda call: True
        elif kind == "team":
            found, owner_id, among = facts.teams.get((o, t)), t, ("organization", o)
            counts = lambda call: call.team_id == t
        elif kind == "member":
            found, owner_id, among = facts.members.get((o, u)), u, ("organization", o)
            counts = lambda call: call.user_id == u
        elif kind == "team_member":
            found, owner_id, among = facts.team_members.get((o, t, u)), f"{t}/{u}", ("organization", o)
            counts = lambda call: call.team_id == t and call.user_id == u
        elif kind == "user":
            found, owner_id, among, counts = facts.users.get(u), u, (kind, u), lambda call: True
        elif kind == "end_user_of_platform":
            found, owner_id, among, counts = facts.end_users.get(("", e)), e, ("end_user", e), lambda call: True
        elif kind == "end_user":
            found, owner_id, among = o and facts.end_users.get((o, e)), e, (kind, e)
            counts = lambda call: call.organization_id == o
        else:
            found, owner_id, among, counts = facts.keys.get(k), k, (kind, k), lambda call: True
        if not found:
            return None
        within = "" if kind in ("user", "end_user_of_platform", "key") else o
        name = kind, within, owner_id, found.created_at
        return Owner(kind, owner_id, name, found.created_at, found.sentences, among, counts)

    def has_own(self, owner, sentence, subject):
        """Whether the part has a limit of its own, in place of that for each."""
        own = self.part_itself(owner, sentence, subject)
        same = sentence.limit, sentence.model, sentence.tag
        return (
            own
            and own.name != owner.name
            and any(not it.soft and not it.each and (it.limit, it.model, it.tag) == same for it in own.sentences)
        )

    def part_itself(self, owner, sentence, subject):
        """The owner that the part of a call is, if it was made."""
        of_platform = not subject.organization_id
        of_team = owner.kind in ("team", "team_member")
        kind = dict(
            member="team_member" if of_team else "user" if of_platform else "member",
            key="key",
            team="team",
            end_user="end_user_of_platform" if of_platform else "end_user",
        ).get(sentence.each)
        return kind and self.owner(kind, subject)

    def owner_named(self, organization_id="", team_id="", user_id="", key=None, end_user=None):
        if team_id and not organization_id:
            organization_id = next((o for o, t in self.facts.teams if t == team_id), "")
        kind = (
            "key" if key else
            "end_user" if end_user and organization_id else
            "end_user_of_platform" if end_user else
            "team_member" if team_id and user_id else
            "team" if team_id else
            "member" if organization_id and user_id else
            "user" if user_id else "organization"
        )  # fmt: skip
        holder = self.known_key(key) if key else None
        within = holder.organization_id if holder else organization_id
        owner = self.owner(
            kind, Subject(within, team_id, user_id, holder.key_id if holder else "", None, None, end_user)
        )
        if not owner:
            raise Refused("P0002", "not found")
        return owner
