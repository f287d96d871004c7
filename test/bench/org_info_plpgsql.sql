-- org_info as one would write it in PL/pgSQL: the key, who may, and the reply. No budget of the benchmark has a period,
-- so that what was spent in it is what was spent.
CREATE FUNCTION public.wire_time(moment timestamptz) RETURNS text LANGUAGE sql STABLE
RETURN to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE FUNCTION public.budget_json(b org.budget) RETURNS json LANGUAGE sql STABLE
RETURN json_build_object(
    'budget_id', b.budget_id, 'max_budget', b.max_budget, 'soft_budget', b.soft_budget,
    'max_parallel_requests', b.max_parallel_requests, 'tpm_limit', b.tpm_limit, 'rpm_limit', b.rpm_limit,
    'model_max_budget', b.model_max_budget, 'budget_duration', b.budget_duration,
    'budget_reset_at', public.wire_time(b.budget_reset_at), 'limits', b.limits,
    'budget_limits', b.short_limits -> 'budget_limits', 'model_rpm_limit', b.short_limits -> 'model_rpm_limit',
    'model_tpm_limit', b.short_limits -> 'model_tpm_limit', 'rpd_limit', b.short_limits -> 'rpd_limit',
    'tpd_limit', b.short_limits -> 'tpd_limit', 'created_at', public.wire_time(b.created_at), 'created_by', b.created_by,
    'updated_at', public.wire_time(b.updated_at), 'updated_by', b.updated_by);

CREATE FUNCTION org_info_plpgsql(asked_id text, api_key text) RETURNS json LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller record;
    reply json;
BEGIN
    SELECT k.user_id, k.blocked, k.expires, u.user_role INTO caller
    FROM org.api_key k LEFT JOIN org."user" u USING (user_id)
    WHERE k.key_hash = encode(sha256(convert_to(api_key, 'UTF8')), 'hex');
    IF NOT FOUND OR caller.blocked OR caller.expires <= now() THEN
        RAISE invalid_authorization_specification USING MESSAGE = 'Authentication Error';
    END IF;
    IF caller.user_role NOT IN ('proxy_admin', 'proxy_admin_viewer') AND NOT EXISTS (
        SELECT FROM org.membership m WHERE m.organization_id = asked_id AND m.user_id = caller.user_id) THEN
        RAISE insufficient_privilege USING MESSAGE = 'You do not have a role within the selected organization.';
    END IF;

    SELECT json_build_object(
        'organization_id', o.organization_id, 'organization_alias', o.organization_alias, 'budget_id', o.budget_id,
        'spend', o.spend, 'period_spend', o.spend, 'model_spend', o.model_spend, 'metadata', o.metadata || (o.kept - 'object_permission'), 'models', o.models,
        'blocked', o.blocked, 'tags', o.tags, 'model_aliases', o.model_aliases,
        'default_reserve', o.default_reserve, 'created_by', o.created_by, 'updated_by', o.updated_by,
        'created_at', public.wire_time(o.created_at), 'updated_at', public.wire_time(o.updated_at),
        'members', (
            SELECT coalesce(json_agg(json_build_object(
                'user_id', m.user_id, 'organization_id', m.organization_id, 'user_role', m.user_role,
                'spend', m.spend, 'period_spend', m.spend, 'budget_id', m.budget_id, 'created_at', public.wire_time(m.created_at),
                'updated_at', public.wire_time(m.updated_at), 'user_email', u.user_email, 'user', NULL,
                'litellm_budget_table', CASE WHEN mb.budget_id IS NOT NULL THEN public.budget_json(mb) END)
                ORDER BY m.created_at, m.user_id), '[]')
            FROM org.membership m JOIN org."user" u USING (user_id)
            LEFT JOIN org.budget mb ON mb.budget_id = m.budget_id
            WHERE m.organization_id = o.organization_id),
        'teams', (
            SELECT coalesce(json_agg(json_build_object(
                'team_id', t.team_id, 'team_alias', t.team_alias, 'organization_id', t.organization_id,
                'admins', coalesce(t.kept -> 'admins', '[]'), 'members', coalesce(t.kept -> 'members', '[]'),
                'members_with_roles', p.members_with_roles,
                'metadata', t.metadata || (t.kept - '{admins, members, object_permission}'::text[]), 'tpm_limit', t.tpm_limit, 'rpm_limit', t.rpm_limit,
                'max_budget', t.max_budget, 'budget_duration', t.budget_duration, 'models', t.models,
                'blocked', t.blocked, 'spend', t.spend, 'period_spend', t.spend, 'max_parallel_requests', t.max_parallel_requests,
                'budget_reset_at', public.wire_time(t.budget_reset_at), 'created_at', public.wire_time(t.created_at),
                'updated_at', public.wire_time(t.updated_at),
                'soft_budget', (t.short_limits ->> 'soft_budget')::numeric,
                'model_max_budget', t.short_limits -> 'model_max_budget', 'limits', t.limits,
                'budget_limits', t.short_limits -> 'budget_limits', 'model_rpm_limit', t.short_limits -> 'model_rpm_limit',
                'model_tpm_limit', t.short_limits -> 'model_tpm_limit', 'rpd_limit', t.short_limits -> 'rpd_limit',
                'tpd_limit', t.short_limits -> 'tpd_limit',
                'team_member_budget', (t.short_limits ->> 'team_member_budget')::numeric,
                'team_member_budget_duration', t.short_limits ->> 'team_member_budget_duration',
                'team_member_rpm_limit', t.short_limits -> 'team_member_rpm_limit',
                'team_member_tpm_limit', t.short_limits -> 'team_member_tpm_limit',
                'model_id', NULL, 'litellm_model_table', NULL,
                'tags', t.tags, 'model_aliases', t.model_aliases, 'team_member_permissions', t.team_member_permissions,
                'open', t.open, 'object_permission', t.kept -> 'object_permission', 'object_permission_id', NULL)
                ORDER BY t.created_at, t.team_id), '[]')
            FROM org.team t, LATERAL (
                SELECT coalesce(json_agg(json_build_object(
                           'user_id', tm.user_id, 'user_email', u.user_email, 'role', tm.role)
                           ORDER BY tm.created_at, tm.user_id), '[]') AS members_with_roles
                FROM org.team_member tm JOIN org."user" u USING (user_id)
                WHERE tm.organization_id = t.organization_id AND tm.team_id = t.team_id) AS p
            WHERE t.organization_id = o.organization_id),
        'litellm_budget_table', public.budget_json(b),
        'users', NULL, 'object_permission', o.kept -> 'object_permission', 'object_permission_id', NULL,
        'quotas', o.quotas) INTO reply
    FROM org.organization o JOIN org.budget b USING (budget_id)
    WHERE o.organization_id = asked_id;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = 'Organization not found for organization_id=' || asked_id;
    END IF;
    RETURN reply;
END $$;
