-- The tables of an LLM platform's organizations.  Run by org_setup(), once, as
-- the role that will own them; later changes are later files, never edits here.
--
-- organization_id comes first in the keys of everything an organization owns:
-- that is the column to distribute by.  Identifiers compare by byte (COLLATE
-- "C"), so that their order is the same on every machine.

CREATE TABLE org.migration (
    version     integer PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE org.migration IS 'Which steps of org_setup() this database has had.';
COMMENT ON COLUMN org.migration.version IS 'Number of the step.';
COMMENT ON COLUMN org.migration.applied_at IS 'When it was applied.';

CREATE TABLE org.budget (
    budget_id              text COLLATE "C" PRIMARY KEY CHECK (budget_id <> ''),
    max_budget             numeric CHECK (max_budget >= 0 AND max_budget < 'Infinity'),
    soft_budget            numeric CHECK (soft_budget >= 0 AND soft_budget < 'Infinity'),
    max_parallel_requests  bigint CHECK (max_parallel_requests >= 0),
    tpm_limit              bigint CHECK (tpm_limit >= 0),
    rpm_limit              bigint CHECK (rpm_limit >= 0),
    model_max_budget       jsonb CHECK (jsonb_typeof(model_max_budget) = 'object'),
    budget_duration        text,
    budget_reset_at        timestamptz,
    auto_created           boolean NOT NULL DEFAULT false,
    created_at             timestamptz NOT NULL DEFAULT now(),
    created_by             text,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    updated_by             text
);
CREATE INDEX budget_created_at_idx ON org.budget (created_at, budget_id);
COMMENT ON TABLE org.budget IS 'What its owners (organizations, memberships, team members) may spend and how fast. May be shared.';
COMMENT ON COLUMN org.budget.budget_id IS 'Identifier of the budget.';
COMMENT ON COLUMN org.budget.max_budget IS 'Hard limit of spend in a period, in US dollars; null means no limit, 0 nothing.';
COMMENT ON COLUMN org.budget.soft_budget IS 'Spend in a period, in US dollars, from which on people are warned.';
COMMENT ON COLUMN org.budget.max_parallel_requests IS 'Most requests under way at once; null means no limit.';
COMMENT ON COLUMN org.budget.tpm_limit IS 'Most tokens a minute; null means no limit.';
COMMENT ON COLUMN org.budget.rpm_limit IS 'Most requests a minute; null means no limit.';
COMMENT ON COLUMN org.budget.model_max_budget IS 'Limits of spend by model: an object with the model''s name as key.';
COMMENT ON COLUMN org.budget.budget_duration IS 'Length of a period: a whole number and s, m, h, d, w or mo; null means one period without end.';
COMMENT ON COLUMN org.budget.budget_reset_at IS 'When the first period that began with the last change of budget_duration ends.';
COMMENT ON COLUMN org.budget.auto_created IS 'Whether it was made along with its owner, so that it goes when its last owner takes another.';
COMMENT ON COLUMN org.budget.created_at IS 'When the budget was made.';
COMMENT ON COLUMN org.budget.created_by IS 'Who made it: a user_id.';
COMMENT ON COLUMN org.budget.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN org.budget.updated_by IS 'Who last changed it: a user_id.';

CREATE TABLE org.organization (
    organization_id     text COLLATE "C" PRIMARY KEY CHECK (organization_id <> ''),
    organization_alias  text NOT NULL,
    budget_id           text COLLATE "C" NOT NULL REFERENCES org.budget,
    spend               numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    model_spend         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_spend) = 'object'),
    metadata            jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    models              text[] NOT NULL DEFAULT '{}',
    blocked             boolean NOT NULL DEFAULT false,
    tags                text[] NOT NULL DEFAULT '{}',
    model_aliases       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_aliases) = 'object'),
    created_by          text,
    updated_by          text,
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX organization_budget_id_idx ON org.organization (budget_id);
CREATE INDEX organization_created_at_idx ON org.organization (created_at, organization_id);
COMMENT ON TABLE org.organization IS 'A customer of the platform. Whoever changes something inside it holds this row first.';
COMMENT ON COLUMN org.organization.organization_id IS 'Identifier of the organization.';
COMMENT ON COLUMN org.organization.organization_alias IS 'Name for people; need not be unique.';
COMMENT ON COLUMN org.organization.budget_id IS 'Budget of the organization as a whole.';
COMMENT ON COLUMN org.organization.spend IS 'Spent so far, in US dollars.';
COMMENT ON COLUMN org.organization.model_spend IS 'Spent so far by model: an object with the model''s name as key.';
COMMENT ON COLUMN org.organization.metadata IS 'Whatever the platform wants to keep with it: an object.';
COMMENT ON COLUMN org.organization.models IS 'Models it may use; empty means all.';
COMMENT ON COLUMN org.organization.blocked IS 'Whether its keys are refused.';
COMMENT ON COLUMN org.organization.tags IS 'Labels for reports.';
COMMENT ON COLUMN org.organization.model_aliases IS 'Its own names of models: an object from alias to model.';
COMMENT ON COLUMN org.organization.created_by IS 'Who made it: a user_id.';
COMMENT ON COLUMN org.organization.updated_by IS 'Who last changed it: a user_id.';
COMMENT ON COLUMN org.organization.created_at IS 'When it was made.';
COMMENT ON COLUMN org.organization.updated_at IS 'When it was last changed.';

CREATE TABLE org."user" (
    user_id           text COLLATE "C" PRIMARY KEY CHECK (user_id <> ''),
    user_email        text,
    user_alias        text,
    user_role         text NOT NULL DEFAULT 'internal_user'
                      CHECK (user_role IN ('proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer')),
    models            text[] NOT NULL DEFAULT '{}',
    max_budget        numeric CHECK (max_budget >= 0 AND max_budget < 'Infinity'),
    spend             numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    model_max_budget  jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_max_budget) = 'object'),
    model_spend       jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_spend) = 'object'),
    tpm_limit         bigint CHECK (tpm_limit >= 0),
    rpm_limit         bigint CHECK (rpm_limit >= 0),
    budget_duration   text,
    budget_reset_at   timestamptz,
    sso_user_id       text COLLATE "C" UNIQUE,
    metadata          jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at        timestamptz NOT NULL DEFAULT now(),
    created_by        text,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    updated_by        text
);
CREATE INDEX user_created_at_idx ON org."user" (created_at, user_id);
CREATE INDEX user_role_idx ON org."user" (user_role) WHERE user_role = 'proxy_admin';
CREATE INDEX user_email_idx ON org."user" (lower(user_email));
COMMENT ON TABLE org."user" IS 'A person or service, known to the whole platform.';
COMMENT ON COLUMN org."user".user_id IS 'Identifier of the user.';
COMMENT ON COLUMN org."user".user_email IS 'E-mail address; compared without regard to case, need not be unique.';
COMMENT ON COLUMN org."user".user_alias IS 'Name for people.';
COMMENT ON COLUMN org."user".user_role IS 'Role on the whole platform: proxy_admin, proxy_admin_viewer, internal_user or internal_user_viewer.';
COMMENT ON COLUMN org."user".models IS 'Models the user may use; empty means all.';
COMMENT ON COLUMN org."user".max_budget IS 'Hard limit of spend in a period, in US dollars; null means no limit.';
COMMENT ON COLUMN org."user".spend IS 'Spent so far, in US dollars.';
COMMENT ON COLUMN org."user".model_max_budget IS 'Limits of spend by model: an object with the model''s name as key.';
COMMENT ON COLUMN org."user".model_spend IS 'Spent so far by model: an object with the model''s name as key.';
COMMENT ON COLUMN org."user".tpm_limit IS 'Most tokens a minute; null means no limit.';
COMMENT ON COLUMN org."user".rpm_limit IS 'Most requests a minute; null means no limit.';
COMMENT ON COLUMN org."user".budget_duration IS 'Length of a budget period: a whole number and s, m, h, d, w or mo.';
COMMENT ON COLUMN org."user".budget_reset_at IS 'When the first budget period ends.';
COMMENT ON COLUMN org."user".sso_user_id IS 'Identifier of the user at the single sign-on provider.';
COMMENT ON COLUMN org."user".metadata IS 'Whatever the platform wants to keep with the user: an object.';
COMMENT ON COLUMN org."user".created_at IS 'When the user was made.';
COMMENT ON COLUMN org."user".created_by IS 'Who made the user: a user_id.';
COMMENT ON COLUMN org."user".updated_at IS 'When the user was last changed.';
COMMENT ON COLUMN org."user".updated_by IS 'Who last changed the user: a user_id.';

CREATE TABLE org.membership (
    organization_id  text COLLATE "C" NOT NULL REFERENCES org.organization ON DELETE CASCADE,
    user_id          text COLLATE "C" NOT NULL REFERENCES org."user" ON DELETE CASCADE,
    user_role        text NOT NULL CHECK (user_role IN ('org_admin', 'internal_user', 'internal_user_viewer')),
    spend            numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    budget_id        text COLLATE "C" REFERENCES org.budget,
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    updated_by       text,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX membership_user_id_idx ON org.membership (user_id);
CREATE INDEX membership_budget_id_idx ON org.membership (budget_id);
COMMENT ON TABLE org.membership IS 'Who belongs to an organization, and as what.';
COMMENT ON COLUMN org.membership.organization_id IS 'The organization.';
COMMENT ON COLUMN org.membership.user_id IS 'The user.';
COMMENT ON COLUMN org.membership.user_role IS 'Role inside the organization: org_admin, internal_user or internal_user_viewer.';
COMMENT ON COLUMN org.membership.spend IS 'Spent by this user in this organization so far, in US dollars.';
COMMENT ON COLUMN org.membership.budget_id IS 'Budget of this user in this organization; null means none of their own.';
COMMENT ON COLUMN org.membership.created_at IS 'When the user became a member.';
COMMENT ON COLUMN org.membership.created_by IS 'Who added them: a user_id.';
COMMENT ON COLUMN org.membership.updated_at IS 'When the membership was last changed.';
COMMENT ON COLUMN org.membership.updated_by IS 'Who last changed it: a user_id.';

CREATE TABLE org.team (
    organization_id        text COLLATE "C" NOT NULL REFERENCES org.organization ON DELETE CASCADE,
    team_id                text COLLATE "C" NOT NULL CHECK (team_id <> ''),
    team_alias             text,
    metadata               jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    models                 text[] NOT NULL DEFAULT '{}',
    blocked                boolean NOT NULL DEFAULT false,
    max_budget             numeric CHECK (max_budget >= 0 AND max_budget < 'Infinity'),
    tpm_limit              bigint CHECK (tpm_limit >= 0),
    rpm_limit              bigint CHECK (rpm_limit >= 0),
    max_parallel_requests  bigint CHECK (max_parallel_requests >= 0),
    budget_duration        text,
    budget_reset_at        timestamptz,
    spend                  numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    created_at             timestamptz NOT NULL DEFAULT now(),
    created_by             text,
    updated_at             timestamptz NOT NULL DEFAULT now(),
    updated_by             text,
    PRIMARY KEY (organization_id, team_id)
);
CREATE INDEX team_team_id_idx ON org.team (team_id);
CREATE INDEX team_created_at_idx ON org.team (created_at, organization_id, team_id);
COMMENT ON TABLE org.team IS 'A group of an organization''s members that shares keys and limits.';
COMMENT ON COLUMN org.team.organization_id IS 'The organization that owns the team.';
COMMENT ON COLUMN org.team.team_id IS 'Identifier of the team inside its organization.';
COMMENT ON COLUMN org.team.team_alias IS 'Name for people.';
COMMENT ON COLUMN org.team.metadata IS 'Whatever the platform wants to keep with the team: an object.';
COMMENT ON COLUMN org.team.models IS 'Models the team may use, all of them the organization''s; empty means the organization''s models.';
COMMENT ON COLUMN org.team.blocked IS 'Whether the team''s keys are refused.';
COMMENT ON COLUMN org.team.max_budget IS 'Hard limit of spend in a period, in US dollars; null means no limit of its own.';
COMMENT ON COLUMN org.team.tpm_limit IS 'Most tokens a minute; null means no limit of its own.';
COMMENT ON COLUMN org.team.rpm_limit IS 'Most requests a minute; null means no limit of its own.';
COMMENT ON COLUMN org.team.max_parallel_requests IS 'Most requests under way at once; null means no limit of its own.';
COMMENT ON COLUMN org.team.budget_duration IS 'Length of a budget period: a whole number and s, m, h, d, w or mo.';
COMMENT ON COLUMN org.team.budget_reset_at IS 'When the first budget period ends.';
COMMENT ON COLUMN org.team.spend IS 'Spent so far, in US dollars.';
COMMENT ON COLUMN org.team.created_at IS 'When the team was made.';
COMMENT ON COLUMN org.team.created_by IS 'Who made it: a user_id.';
COMMENT ON COLUMN org.team.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN org.team.updated_by IS 'Who last changed it: a user_id.';

CREATE TABLE org.team_member (
    organization_id  text COLLATE "C" NOT NULL,
    team_id          text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    role             text NOT NULL CHECK (role IN ('admin', 'user')),
    spend            numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    budget_id        text COLLATE "C" REFERENCES org.budget,
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    updated_by       text,
    PRIMARY KEY (organization_id, team_id, user_id),
    FOREIGN KEY (organization_id, team_id) REFERENCES org.team ON DELETE CASCADE,
    FOREIGN KEY (organization_id, user_id) REFERENCES org.membership ON DELETE CASCADE
);
CREATE INDEX team_member_user_id_idx ON org.team_member (organization_id, user_id);
CREATE INDEX team_member_user_idx ON org.team_member (user_id);
CREATE INDEX team_member_team_id_idx ON org.team_member (team_id);
CREATE INDEX team_member_budget_id_idx ON org.team_member (budget_id);
COMMENT ON TABLE org.team_member IS 'Which members of an organization are in which of its teams.';
COMMENT ON COLUMN org.team_member.organization_id IS 'The organization.';
COMMENT ON COLUMN org.team_member.team_id IS 'The team.';
COMMENT ON COLUMN org.team_member.user_id IS 'The user, a member of the organization.';
COMMENT ON COLUMN org.team_member.role IS 'Role inside the team: admin or user.';
COMMENT ON COLUMN org.team_member.spend IS 'Spent by this user in this team so far, in US dollars.';
COMMENT ON COLUMN org.team_member.budget_id IS 'Budget of this user in this team; null means none of their own.';
COMMENT ON COLUMN org.team_member.created_at IS 'When the user joined the team.';
COMMENT ON COLUMN org.team_member.created_by IS 'Who added them: a user_id.';
COMMENT ON COLUMN org.team_member.updated_at IS 'When this was last changed.';
COMMENT ON COLUMN org.team_member.updated_by IS 'Who last changed it: a user_id.';

CREATE TABLE org.api_key (
    key_hash         text COLLATE "C" PRIMARY KEY CHECK (key_hash ~ '^[0-9a-f]{64}$'),
    key_id           text COLLATE "C" NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,
    key_name         text NOT NULL,
    key_alias        text,
    user_id          text COLLATE "C" REFERENCES org."user" ON DELETE CASCADE,
    organization_id  text COLLATE "C" REFERENCES org.organization ON DELETE CASCADE,
    team_id          text COLLATE "C",
    models           text[] NOT NULL DEFAULT '{}',
    spend            numeric NOT NULL DEFAULT 0 CHECK (spend >= 0 AND spend < 'Infinity'),
    max_budget       numeric CHECK (max_budget >= 0 AND max_budget < 'Infinity'),
    model_max_budget jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(model_max_budget) = 'object'),
    tpm_limit        bigint CHECK (tpm_limit >= 0),
    rpm_limit        bigint CHECK (rpm_limit >= 0),
    max_parallel_requests bigint CHECK (max_parallel_requests >= 0),
    budget_duration  text,
    budget_reset_at  timestamptz,
    expires          timestamptz,
    blocked          boolean NOT NULL DEFAULT false,
    delegated        boolean NOT NULL DEFAULT false,
    metadata         jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at       timestamptz NOT NULL DEFAULT now(),
    created_by       text,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    updated_by       text,
    previous_key_hash     text COLLATE "C" UNIQUE CHECK (previous_key_hash ~ '^[0-9a-f]{64}$'),
    previous_expires      timestamptz,
    CHECK (team_id IS NULL OR organization_id IS NOT NULL),
    FOREIGN KEY (organization_id, team_id) REFERENCES org.team ON DELETE CASCADE
);
CREATE INDEX api_key_user_id_idx ON org.api_key (user_id);
CREATE INDEX api_key_created_at_idx ON org.api_key (created_at, key_id);
CREATE INDEX api_key_key_alias_idx ON org.api_key (key_alias);
CREATE INDEX api_key_owner_idx ON org.api_key (organization_id, team_id);
CREATE INDEX api_key_team_id_idx ON org.api_key (team_id);
COMMENT ON TABLE org.api_key IS 'Keys, by the digest of their secret: the secret itself is nowhere.';
COMMENT ON COLUMN org.api_key.key_hash IS 'sha256 of the key in lower-case hexadecimal.';
COMMENT ON COLUMN org.api_key.key_id IS 'Identifier that may be shown; says nothing about the secret.';
COMMENT ON COLUMN org.api_key.key_name IS 'The key with its middle left out, to recognize it by.';
COMMENT ON COLUMN org.api_key.key_alias IS 'Name for people.';
COMMENT ON COLUMN org.api_key.user_id IS 'Whose key it is; null means nobody''s in particular.';
COMMENT ON COLUMN org.api_key.organization_id IS 'Organization it belongs to and acts in; null means none.';
COMMENT ON COLUMN org.api_key.team_id IS 'Team of that organization it belongs to; null means none.';
COMMENT ON COLUMN org.api_key.models IS 'Models it may use; empty means those of its team, organization or user.';
COMMENT ON COLUMN org.api_key.spend IS 'Spent with it so far, in US dollars.';
COMMENT ON COLUMN org.api_key.max_budget IS 'Hard limit of spend in a period, in US dollars; null means no limit of its own.';
COMMENT ON COLUMN org.api_key.model_max_budget IS 'Limits of spend by model: an object with the model''s name as key.';
COMMENT ON COLUMN org.api_key.tpm_limit IS 'Most tokens a minute; null means no limit of its own.';
COMMENT ON COLUMN org.api_key.rpm_limit IS 'Most requests a minute; null means no limit of its own.';
COMMENT ON COLUMN org.api_key.max_parallel_requests IS 'Most requests under way at once; null means no limit of its own.';
COMMENT ON COLUMN org.api_key.budget_duration IS 'Length of a budget period: a whole number and s, m, h, d, w or mo.';
COMMENT ON COLUMN org.api_key.budget_reset_at IS 'When the first budget period ends.';
COMMENT ON COLUMN org.api_key.expires IS 'From when on it is refused; null means never.';
COMMENT ON COLUMN org.api_key.blocked IS 'Whether it is refused.';
COMMENT ON COLUMN org.api_key.delegated IS 'Whether an organization''s admin made it for somebody else: then it never acts with that user''s role on the whole platform.';
COMMENT ON COLUMN org.api_key.metadata IS 'Whatever the platform wants to keep with it: an object.';
COMMENT ON COLUMN org.api_key.created_at IS 'When it was made.';
COMMENT ON COLUMN org.api_key.created_by IS 'Who made it: a user_id.';
COMMENT ON COLUMN org.api_key.updated_at IS 'When it was last changed.';
COMMENT ON COLUMN org.api_key.updated_by IS 'Who last changed it: a user_id.';
COMMENT ON COLUMN org.api_key.previous_key_hash IS 'Digest of the secret that the last regeneration replaced, while it still works.';
COMMENT ON COLUMN org.api_key.previous_expires IS 'Until when the replaced secret works.';

INSERT INTO org."user" (user_id, user_role, created_by, updated_by)
VALUES ('default_user_id', 'proxy_admin', 'default_user_id', 'default_user_id');
