"""Who there is, with which limits, and what they have called."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Optional


class Organization(NamedTuple):
    organization_id: str
    created_at: datetime
    sentences: tuple = ()
    models: tuple = ()
    model_aliases: dict = {}
    blocked: bool = False
    default_reserve: Optional[Decimal] = None
    budget_id: Optional[str] = None
    tags: tuple = ()


class Team(NamedTuple):
    organization_id: str
    team_id: str
    created_at: datetime
    sentences: tuple = ()
    models: tuple = ()
    blocked: bool = False
    tags: tuple = ()
    budget_id: Optional[str] = None


class User(NamedTuple):
    user_id: str
    created_at: datetime
    sentences: tuple = ()
    models: tuple = ()
    budget_id: Optional[str] = None


class Member(NamedTuple):
    organization_id: str
    user_id: str
    created_at: datetime
    sentences: tuple = ()
    budget_id: Optional[str] = None


class TeamMember(NamedTuple):
    organization_id: str
    team_id: str
    user_id: str
    created_at: datetime
    sentences: tuple = ()
    budget_id: Optional[str] = None


class EndUser(NamedTuple):
    organization_id: str  # empty: of the platform
    end_user_id: str
    created_at: datetime
    sentences: tuple = ()
    blocked: bool = False
    budget_id: Optional[str] = None


class Key(NamedTuple):
    key_id: str
    secret: str
    created_at: datetime
    organization_id: str = ""
    team_id: str = ""
    user_id: str = ""
    sentences: tuple = ()
    models: tuple = ()
    blocked: bool = False
    expires: Optional[datetime] = None
    tags: tuple = ()
    budget_id: Optional[str] = None


class FormerKey(NamedTuple):
    key: Key
    deleted_at: datetime


@dataclass
class Facts:
    organizations: dict = field(default_factory=dict)  # by organization_id
    teams: dict = field(default_factory=dict)  # by organization_id, team_id
    users: dict = field(default_factory=dict)  # by user_id
    members: dict = field(default_factory=dict)  # by organization_id, user_id
    team_members: dict = field(default_factory=dict)  # by organization_id, team_id, user_id
    end_users: dict = field(default_factory=dict)  # by organization_id, end_user_id
    keys: dict = field(default_factory=dict)  # by key_id

    def named(self):
        """All owners, each with its kind and its name."""
        for kind, owners in vars(self).items():
            for name, owner in owners.items():
                yield (kind, name), owner


@dataclass
class Call:
    organization_id: str
    request_id: str
    key_id: str
    team_id: str
    user_id: str
    model: str
    reserved_at: datetime
    expires_at: datetime
    max_cost: Decimal = Decimal(0)
    max_tokens: int = 0
    tags: tuple = ()
    end_user: str = ""
    state: str = "reserved"  # then settled, cancelled or expired
    cost: Decimal = Decimal(0)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    closed_at: Optional[datetime] = None
    put_away_at: Optional[datetime] = None  # when it was cancelled, or found to have expired, if that is known

    def holds(self, now):
        return self.state == "reserved" and self.expires_at > now

    def ended_at(self):
        return self.closed_at if self.state == "settled" else self.put_away_at

    def row(self):
        """As the tables have it."""
        return (
            self.organization_id,
            self.request_id,
            self.key_id,
            self.team_id,
            self.user_id,
            self.model,
            self.max_cost,
            self.max_tokens,
            self.reserved_at,
            self.expires_at,
            tuple(sorted(self.tags)),
            self.end_user,
            "reserved" if self.state == "expired" else self.state,
            self.cost,
            self.prompt_tokens,
            self.completion_tokens,
            self.closed_at,
        )

    def tokens(self):
        return self.prompt_tokens + self.completion_tokens if self.state == "settled" else self.max_tokens
