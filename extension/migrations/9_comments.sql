-- Plainer words about tables and columns.
COMMENT ON TABLE org.migration IS 'The migrations that org_setup() has applied to this database.';
COMMENT ON COLUMN org.migration.version IS 'Number of the migration.';

COMMENT ON TABLE org.budget IS
'How much its owners (organizations, memberships, team members) may spend, and how fast. Owners may share a budget.';
COMMENT ON TABLE org.organization IS
'A customer of the platform. Changes inside an organization lock this row first.';
COMMENT ON TABLE org."user" IS 'A person or service that the platform knows.';
COMMENT ON TABLE org.membership IS 'The users who belong to an organization, with their roles.';
COMMENT ON TABLE org.team IS 'A group of an organization''s members that shares keys and limits.';
COMMENT ON TABLE org.team_member IS 'The members of an organization who are in a team, with their roles.';
COMMENT ON TABLE org.api_key IS 'Keys. Only the digest of a secret is stored, never the secret.';
COMMENT ON TABLE org.audit_log IS
'All changes: the caller, the time, and the row before and after. Entries are never changed; org_audit_purge() deletes'
' old ones.';
COMMENT ON TABLE org.idempotency IS 'Replies to requests with an idempotency key, kept for 24 hours.';
COMMENT ON TABLE org.reservation IS
'Calls in progress and the amounts held for them. A call that is over or has expired moves to usage.';
COMMENT ON TABLE org.usage IS 'The ledger: every call that is over, once.';
COMMENT ON TABLE org.usage_account IS
'Counters: the sums of reservation and usage for each owner of limits. The owner is an organization, a team (team_id),'
' a member (user_id), a team''s member (both), a key (key_id) or a user anywhere (user_id without organization_id).';
COMMENT ON TABLE org.usage_daily IS 'Daily sums of the settled calls in usage.';
COMMENT ON TABLE org.event IS
'Events for other programs. Events are never changed except for their delivery; org_event_purge() deletes old ones.';
COMMENT ON TABLE org.event_counter IS 'The last event_id. Its only row is locked while events get their numbers.';

-- Columns of one name that mean the same in several tables.
DO $$
DECLARE
    commented record;
BEGIN
    FOR commented IN
        SELECT c.relname, a.attname, words.text
          FROM (VALUES
              ('max_budget', 'The most that may be spent in a period, in US dollars; null means no limit, 0 allows '
                             'nothing.'),
              ('soft_budget', 'Spend in a period, in US dollars, at which a warning event is sent.'),
              ('max_parallel_requests', 'Maximum number of calls in progress at the same time; null means no limit.'),
              ('tpm_limit', 'Maximum tokens per minute; null means no limit.'),
              ('rpm_limit', 'Maximum requests per minute; null means no limit.'),
              ('model_max_budget', 'The most that may be spent on each model in a period: an object from model to US '
                                   'dollars.'),
              ('budget_duration', 'Length of a budget period: a whole number and s, m, h, d, w or mo, such as 30d; or '
                                  'a calendar period with a time zone, such as 1mo@Europe/Berlin. Null means a single '
                                  'period without end.'),
              ('budget_reset_at', 'End of the first period after the last change of budget_duration.'),
              ('spend', 'Spent so far, in US dollars.'),
              ('model_spend', 'Spent so far on each model: an object from model to US dollars.'),
              ('metadata', 'Any data that the platform wants to keep here: an object.'),
              ('created_at', 'Time of creation.'),
              ('created_by', 'user_id of the creator.'),
              ('updated_at', 'Time of the last change.'),
              ('updated_by', 'user_id of the last caller who changed it.')) AS words (column_name, text)
          JOIN pg_attribute a ON a.attname = words.column_name AND NOT a.attisdropped
          JOIN pg_class c ON c.oid = a.attrelid AND c.relnamespace = 'org'::regnamespace
         WHERE c.relname IN ('budget', 'organization', 'user', 'membership', 'team', 'team_member', 'api_key')
    LOOP
        EXECUTE format('COMMENT ON COLUMN org.%I.%I IS %L', commented.relname, commented.attname, commented.text);
    END LOOP;
END $$;

COMMENT ON COLUMN org.budget.budget_id IS 'Identifier of the budget.';
COMMENT ON COLUMN org.budget.auto_created IS
'Whether the budget was created together with its owner; then it is deleted when its last owner changes to another.';
COMMENT ON COLUMN org.organization.organization_alias IS 'Name for people; several organizations may have the same.';
COMMENT ON COLUMN org.organization.models IS 'Models that it may use; an empty list allows all.';
COMMENT ON COLUMN org.organization.blocked IS 'Whether its keys are refused.';
COMMENT ON COLUMN org.organization.model_aliases IS 'Its own names for models: an object from alias to model.';
COMMENT ON COLUMN org.organization.default_reserve IS
'Amount that is held for a call without max_cost, in US dollars; null refuses such calls where a budget applies.';
COMMENT ON COLUMN org.organization.quotas IS
'Quotas: an object with max_teams, max_members, max_keys and max_team_keys (keys in one team); one that is missing has'
' its default.';
COMMENT ON COLUMN org.organization.teams_at_most IS 'Upper bound of the number of its teams.';
COMMENT ON COLUMN org.organization.members_at_most IS 'Upper bound of the number of its members.';
COMMENT ON COLUMN org.organization.keys_at_most IS 'Upper bound of the number of its keys.';
COMMENT ON COLUMN org."user".user_email IS
'E-mail address; no two users have the same, ignoring case, surrounding white space and Unicode forms.';
COMMENT ON COLUMN org."user".user_role IS
'Role on the platform: proxy_admin, proxy_admin_viewer, internal_user or internal_user_viewer.';
COMMENT ON COLUMN org."user".models IS 'Models that the user may use; an empty list allows all.';
COMMENT ON COLUMN org."user".sso_user_id IS 'Identifier of the user at the single sign-on provider.';
COMMENT ON COLUMN org."user".quotas IS
'Quotas: an object with max_keys (keys outside organizations); one that is missing has its default.';
COMMENT ON COLUMN org.membership.user_role IS
'Role in the organization: org_admin, internal_user or internal_user_viewer.';
COMMENT ON COLUMN org.membership.spend IS 'Spent so far by this user in this organization, in US dollars.';
COMMENT ON COLUMN org.membership.budget_id IS 'Budget of this user in this organization; null means none of their own.';
COMMENT ON COLUMN org.team.models IS
'Models that the team may use, all of them the organization''s; an empty list allows those of the organization.';
COMMENT ON COLUMN org.team.blocked IS 'Whether the team''s keys are refused.';
COMMENT ON COLUMN org.team.keys_at_most IS 'Upper bound of the number of its keys.';
COMMENT ON COLUMN org.team_member.role IS 'Role in the team: admin or user.';
COMMENT ON COLUMN org.team_member.spend IS 'Spent so far by this user in this team, in US dollars.';
COMMENT ON COLUMN org.team_member.budget_id IS 'Budget of this user in this team; null means none of their own.';
COMMENT ON COLUMN org.api_key.key_id IS
'Identifier of the key, the token_id on the wire; it reveals nothing of the secret.';
COMMENT ON COLUMN org.api_key.key_name IS 'The secret without its middle, to recognize the key by.';
COMMENT ON COLUMN org.api_key.user_id IS 'User of the key; null means a key of nobody in particular.';
COMMENT ON COLUMN org.api_key.organization_id IS 'Organization of the key; null means none.';
COMMENT ON COLUMN org.api_key.team_id IS 'Team of the key, in its organization; null means none.';
COMMENT ON COLUMN org.api_key.models IS
'Models that the key may use; an empty list allows those of its team, organization or user.';
COMMENT ON COLUMN org.api_key.spend IS 'Spent so far with the key, in US dollars.';
COMMENT ON COLUMN org.api_key.expires IS 'Time from which the key is refused; null means never.';
COMMENT ON COLUMN org.api_key.blocked IS 'Whether the key is refused.';
COMMENT ON COLUMN org.api_key.delegated IS
'Whether an organization''s admin made the key for another user. Such a key has no rights from that user''s role on the'
' platform and does not count against the user''s limits there.';
COMMENT ON COLUMN org.api_key.permissions IS
'Additional rights of the key, an object: usage (reserve and settle for other keys), events (read the events of all'
' organizations).';
COMMENT ON COLUMN org.api_key.previous_key_hash IS
'Digest of the secret before the last regeneration, while it still works.';
COMMENT ON COLUMN org.api_key.previous_expires IS 'Time until which that secret works.';

COMMENT ON COLUMN org.audit_log.organization_id IS 'Organization of the changed row; empty if it belongs to none.';
COMMENT ON COLUMN org.audit_log.occurred_at IS 'Time of the change.';
COMMENT ON COLUMN org.audit_log.actor IS 'user_id of the caller, or the database role if it was plain SQL.';
COMMENT ON COLUMN org.audit_log.key_id IS 'token_id of the caller''s key; null without a key.';
COMMENT ON COLUMN org.audit_log.key_made_by IS
'user_id of the organization''s admin who made that key, if it was for another user.';
COMMENT ON COLUMN org.audit_log.database_role IS 'Database role of the connection.';
COMMENT ON COLUMN org.audit_log.action IS 'Function that was called, or the SQL command.';
COMMENT ON COLUMN org.audit_log.kind IS 'Table of the row that was changed.';
COMMENT ON COLUMN org.audit_log.id IS 'Identifier of the row that was changed.';
COMMENT ON COLUMN org.idempotency.caller IS 'Owner of the idempotency key: a key_id, or role: and the database role.';
COMMENT ON COLUMN org.idempotency.request_hash IS
'sha256 of the function and its arguments, to tell a repeated request from another one.';
COMMENT ON COLUMN org.idempotency.secret_hash IS
'sha256 of the secret in the reply, which is computed from the caller''s key: by now that may be another.';

COMMENT ON COLUMN org.reservation.max_cost IS 'The most that the call can cost, in US dollars; held until it is over.';
COMMENT ON COLUMN org.reservation.max_tokens IS 'The most tokens that the call can use; held until it is over.';
COMMENT ON COLUMN org.reservation.reserved_at IS 'Time of the reservation.';
COMMENT ON COLUMN org.reservation.expires_at IS 'Time from which nothing is held any more.';
COMMENT ON COLUMN org.reservation.delegated IS
'Whether an organization''s admin made the key for its user; then the call does not count for the user on the'
' platform.';
COMMENT ON COLUMN org.usage.state IS
'settled (the call has a cost), cancelled (it was not made) or expired (it was not settled in time). Calls in the last'
' two states can still be settled.';
COMMENT ON COLUMN org.usage.failed IS 'Whether the call failed, whatever it cost.';
COMMENT ON COLUMN org.usage.max_cost IS 'Amount that was held, in US dollars.';
COMMENT ON COLUMN org.usage.max_tokens IS 'Number of tokens that was held.';
COMMENT ON COLUMN org.usage.cost IS 'Cost of the call, in US dollars.';
COMMENT ON COLUMN org.usage.cache_read_input_tokens IS 'Tokens of the prompt that were read from a cache.';
COMMENT ON COLUMN org.usage.cache_creation_input_tokens IS 'Tokens of the prompt that were written to a cache.';
COMMENT ON COLUMN org.usage.reserved_at IS 'Time of the reservation, or of the record without one.';
COMMENT ON COLUMN org.usage.expires_at IS 'Time at which the reservation ended or would have expired.';
COMMENT ON COLUMN org.usage.closed_at IS
'Time at which the call was settled, cancelled or found expired; it decides the budget period.';
COMMENT ON COLUMN org.usage.delegated IS
'Whether an organization''s admin made the key for its user; then the call does not count for the user on the'
' platform.';
COMMENT ON COLUMN org.usage_account.model IS 'Model of a limit in model_max_budget; empty for the calls to all models.';
COMMENT ON COLUMN org.usage_account.owner_since IS
'Time of the owner''s creation; earlier calls belong to another owner of the same identifier.';
COMMENT ON COLUMN org.usage_account.window_start IS 'Start of the budget period of window_spend.';
COMMENT ON COLUMN org.usage_account.window_spend IS 'Cost of the calls settled in that period, in US dollars.';
COMMENT ON COLUMN org.usage_account.held_requests IS 'Number of its reservations.';
COMMENT ON COLUMN org.usage_account.minute IS 'Minute of minute_requests and minute_tokens.';
COMMENT ON COLUMN org.usage_account.minute_requests IS
'Calls reserved in that minute, without cancelled and expired ones.';
COMMENT ON COLUMN org.usage_account.minute_tokens IS 'Tokens of those calls: used if settled, held if not.';
COMMENT ON COLUMN org.usage_account.charged_at IS 'Time at which window_spend last grew, or later.';
COMMENT ON COLUMN org.usage_account.warned_window IS
'Start of the last period with an event that the soft budget was crossed; infinity for none.';
COMMENT ON COLUMN org.usage_account.warned_budget IS
'The soft budget of that event; crossing a higher one causes another event.';
COMMENT ON COLUMN org.usage_account.exceeded_window IS
'Start of the last period with an event that the budget was exceeded; infinity for none.';
COMMENT ON COLUMN org.usage_account.exceeded_budget IS
'The budget of that event; exceeding a higher one causes another event.';
COMMENT ON COLUMN org.usage_daily.cache_read_input_tokens IS 'Tokens of their prompts that were read from a cache.';
COMMENT ON COLUMN org.usage_daily.cache_creation_input_tokens IS
'Tokens of their prompts that were written to a cache.';
COMMENT ON COLUMN org.usage_daily.successful_requests IS 'Number of calls that did not fail.';
COMMENT ON COLUMN org.usage_daily.failed_requests IS 'Number of calls that failed.';
COMMENT ON COLUMN org.usage_daily.first_reserved_at IS
'Time of the first reservation among the calls, or record without one; null if it is not known.';

COMMENT ON COLUMN org.event.organization_id IS 'Organization of the event; empty if it belongs to none.';
COMMENT ON COLUMN org.event.outbox_id IS 'Identifier of the event until it has its event_id.';
COMMENT ON COLUMN org.event.occurred_at IS 'Time of the event.';
COMMENT ON COLUMN org.event.kind IS
'Kind of the event: organization, member or key, a dot and created, deleted, blocked or unblocked;'
' budget.soft_limit_crossed; budget.exceeded.';
COMMENT ON COLUMN org.event.data IS 'Subject of the event: an object, without secrets.';
COMMENT ON COLUMN org.event.attempts IS 'Number of times that it was claimed for delivery.';
COMMENT ON COLUMN org.event.next_attempt_at IS 'Time from which it can be claimed.';
COMMENT ON COLUMN org.event.delivered_at IS 'Time at which its delivery was acknowledged; null until then.';
COMMENT ON COLUMN org.event_counter.only_row IS 'Makes sure that there is only one row.';

COMMENT ON FUNCTION org.close_account() IS 'Trigger: deletes the counters of deleted owners.';
COMMENT ON FUNCTION org.folded(text) IS
'The text without differences of case and Unicode form, whatever the locale of the database.';
