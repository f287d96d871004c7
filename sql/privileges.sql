-- Database privileges of the gateway's role, the tables' owner and other roles; other
-- people's objects and policies don't change the rules.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- This is a recommended installation: the owner is no superuser, and the gateway has a role of its own.
DROP SCHEMA org CASCADE;
CREATE ROLE regress_pg_org_owner;
CREATE ROLE regress_pg_org_helper IN ROLE regress_pg_org_owner;
CREATE ROLE regress_pg_org_noinherit NOINHERIT IN ROLE regress_pg_org_owner;
CREATE ROLE regress_pg_org_gateway;
CREATE ROLE regress_pg_org_stranger;
GRANT CREATE ON DATABASE :"DBNAME" TO regress_pg_org_owner;
GRANT EXECUTE ON FUNCTION org_setup() TO regress_pg_org_owner;
SELECT org_grant_access('regress_pg_org_owner'), org_grant_access('regress_pg_org_noinherit'),
       org_grant_access('regress_pg_org_gateway') \g /dev/null
SET ROLE regress_pg_org_owner;
SELECT org_setup() \g /dev/null
SELECT key_generate('default_user_id', key => 'sk-admin') ->> 'key' AS key;
SELECT user_new('privileges-user', auto_create_key => false) ->> 'user_id' AS user_id;
SELECT key_generate('privileges-user', key => 'sk-user') ->> 'key' AS key;
RESET ROLE;

-- The gateway's role ----------------------------------------------------------
-- It has no privilege on any table or column, and can't use the schema.
SELECT has_schema_privilege('regress_pg_org_gateway', 'org', 'USAGE, CREATE') AS enters_schema;
SELECT relname, privilege
  FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS privilege
 WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p')
   AND has_table_privilege('regress_pg_org_gateway', c.oid, privilege);
SELECT relname, privilege
  FROM pg_class c, unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS privilege
 WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p')
   AND has_any_column_privilege('regress_pg_org_gateway', c.oid, privilege);

SET ROLE regress_pg_org_gateway;
SELECT command, attempt(command) FROM (VALUES
    ('SELECT FROM org.api_key'),
    ('INSERT INTO org.budget (budget_id) VALUES (''mine'')'),
    ('UPDATE org."user" SET user_role = ''proxy_admin'''),
    ('DELETE FROM org.organization'),
    ('TRUNCATE org.migration'),
    ('CREATE TABLE org.mine ()'),
    ('org_setup()'),
    ('org_grant_access(''regress_pg_org_gateway'')')) AS t (command);

-- Without a valid key every call is refused.
SELECT call, attempt(call) FROM (VALUES
    ($$org_list()$$),
    ($$org_list(api_key => NULL)$$),
    ($$org_list(api_key => '')$$),
    ($$org_list(api_key => 'admin')$$),
    ($$org_list(api_key => 'Bearer sk-admin')$$),
    ($$org_list(api_key => 'sk-')$$),
    ($$org_list(api_key => 'sk-unknown')$$),
    ($$org_list(api_key => 'SK-ADMIN')$$),
    ($$org_list(api_key => ' sk-admin')$$),
    ($$org_list(api_key => encode(sha256('sk-admin'), 'hex'))$$),
    ($$org_list(api_key => 'sk-' || encode(sha256('sk-admin'), 'hex'))$$)) AS t (call);
-- Every function refuses, before it looks at other arguments.
SELECT DISTINCT attempt(format('%I(%s)', p.proname, (SELECT string_agg('NULL', ', ')
                                                       FROM generate_series(1, p.pronargs - p.pronargdefaults))))
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org')
   AND p.proname NOT IN ('org_setup', 'org_grant_access');

-- With a key the role may do what the key allows, which is everything here.
SELECT call, attempt(call) FROM (VALUES
    ($$org_new('Acme', 'privileges', max_budget => 10, budget_duration => '1mo', api_key => 'sk-admin')$$),
    ($$org_update('privileges', max_budget => 11, api_key => 'sk-admin')$$),
    ($$org_patch('privileges', '{"metadata": {"a": {"b": 1}}}', api_key => 'sk-admin')$$),
    ($$user_new('privileges-other', 'other@example.com', api_key => 'sk-admin')$$),
    ($$org_member_add('privileges', '[{"role": "org_admin", "user_id": "privileges-user"},
                                      {"role": "internal_user", "user_email": "new@example.com"}]', 5, api_key => 'sk-admin')$$),
    ($$org_member_update('privileges', 'privileges-user', max_budget_in_organization => 6, api_key => 'sk-admin')$$),
    ($$team_new('privileges', team_id => 'team', budget_duration => '1d', api_key => 'sk-admin',
                members_with_roles => '[{"role": "admin", "user_id": "privileges-user"}]')$$),
    ($$key_generate(team_id => 'team', user_id => 'privileges-user', duration => '1d', api_key => 'sk-admin')$$),
    ($$key_generate(organization_id => 'privileges', key => 'sk-org', api_key => 'sk-admin')$$),
    ($$key_block('sk-org', api_key => 'sk-admin')$$),
    ($$key_unblock('sk-org', api_key => 'sk-admin')$$),
    ($$usage_reserve('sk-org', 'm', 1, request_id => 'call', api_key => 'sk-admin')$$),
    ($$usage_settle(1, 'call', api_key => 'sk-admin')$$),
    ($$usage_record('sk-org', 'm', 10, api_key => 'sk-admin')$$),
    ($$usage_limits('sk-org', api_key => 'sk-admin')$$),
    ($$usage_repair(api_key => 'sk-admin')$$),
    ($$org_list(api_key => 'sk-admin')$$),
    ($$org_info('privileges', api_key => 'sk-admin')$$),
    ($$org_info_many('{privileges}', api_key => 'sk-admin')$$),
    ($$user_info('privileges-user', api_key => 'sk-admin')$$),
    ($$team_info('team', api_key => 'sk-admin')$$),
    ($$budget_info('{}', api_key => 'sk-admin')$$),
    ($$org_member_delete('privileges', user_email => 'new@example.com', api_key => 'sk-admin')$$),
    ($$org_delete('{privileges}', api_key => 'sk-admin')$$)) AS t (call);
-- This key allows less, because its user is no admin.
SELECT attempt($$org_new('Acme', api_key => 'sk-user')$$);

-- After a call the role is the same as before, whether the call succeeds or fails.
SELECT current_user, attempt($$org_info('nowhere', api_key => 'sk-admin')$$);
SELECT current_user, json_typeof(org_list(api_key => 'sk-admin'));
SELECT current_user, attempt('SELECT FROM org.organization');
RESET ROLE;

-- The owner and others --------------------------------------------------------
-- The owner, its members and superusers need no key: they act as default_user_id.
SET ROLE regress_pg_org_owner;
SELECT org_new('Owner', 'privileges-owner') ->> 'created_by' AS created_by;
SET ROLE regress_pg_org_helper;
SELECT org_new('Helper', 'privileges-helper') ->> 'created_by' AS created_by;
RESET ROLE;
SELECT org_new('Superuser', 'privileges-superuser') ->> 'created_by' AS created_by;
-- With a key they have the rights of the key's user.
SELECT attempt($$org_new('Acme', api_key => 'sk-user')$$);
SET ROLE regress_pg_org_owner;
SELECT attempt($$org_new('Acme', api_key => 'sk-user')$$);
-- A member that does not inherit the owner's rights must use SET ROLE.
SET ROLE regress_pg_org_noinherit;
SELECT attempt($$org_list()$$);
-- Other roles can't execute the functions.
SET ROLE regress_pg_org_stranger;
SELECT attempt($$org_list(api_key => 'sk-admin')$$), attempt($$org_list()$$);
RESET ROLE;

-- Rules run as the owner ------------------------------------------------------
CREATE FUNCTION test.tell_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'as %', current_user;
END $$;
CREATE TRIGGER tell_role BEFORE DELETE ON org.organization EXECUTE FUNCTION test.tell_role();
SELECT attempt($$org_delete('{privileges-owner}')$$);
SET ROLE regress_pg_org_gateway;
SELECT attempt($$org_delete('{privileges-owner}', api_key => 'sk-admin')$$);
RESET ROLE;
DROP TRIGGER tell_role ON org.organization;
DROP FUNCTION test.tell_role;

-- Other people's objects are not used -----------------------------------------
-- A role with CREATE makes functions, operators and tables with the names that the rules use.
CREATE SCHEMA trap AUTHORIZATION regress_pg_org_gateway;
GRANT CREATE ON SCHEMA public TO regress_pg_org_gateway;
SET ROLE regress_pg_org_gateway;
CREATE FUNCTION trap.caught() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'caught as %', current_user;
END $$;
CREATE FUNCTION trap.equal(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT trap.caught()';
CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE sql AS 'SELECT trap.caught()::text';
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz WHERE trap.caught()';
CREATE FUNCTION trap.gen_random_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid WHERE trap.caught()';
CREATE FUNCTION public.lower(text) RETURNS text LANGUAGE sql AS 'SELECT trap.caught()::text';
CREATE FUNCTION pg_temp.lower(text) RETURNS text LANGUAGE sql AS 'SELECT trap.caught()::text';
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.equal);
CREATE TEMPORARY TABLE organization (organization_id text);
CREATE TEMPORARY TABLE api_key (key_hash text);
CREATE TEMPORARY TABLE pg_proc (oid oid);
SET search_path = trap, public, pg_temp, pg_catalog;
-- Plain SQL falls into the trap.
\set VERBOSITY terse
SELECT 'a'::text = 'a'::text;
SELECT lower('A');
SELECT now();
\set VERBOSITY default
-- The rules don't fall into it.
SELECT org_new('Trap', 'privileges-trap', budget_duration => '1d', api_key => 'sk-admin') ->> 'organization_id' AS made;
SELECT json_array_length(org_list(org_alias => 'TRAP', api_key => 'sk-admin')) AS listed;
SELECT org_member_add('privileges-trap', '{"role": "org_admin", "user_email": "trap@example.com"}', 1, api_key => 'sk-admin')
       ->> 'organization_id' AS added_to;
SELECT org_member_update('privileges-trap', user_email => 'TRAP@example.com', role => 'internal_user',
                         api_key => 'sk-admin') ->> 'user_role' AS user_role;
SELECT json_array_length(org_delete('{privileges-trap}', api_key => 'sk-admin')) AS deleted;
RESET ROLE;
SELECT org_setup();
SELECT org_grant_access('regress_pg_org_gateway');
SET search_path = public, test;
DROP OPERATOR public.= (text, text);
DROP FUNCTION public.lower(text), pg_temp.lower(text);
DROP TABLE pg_temp.organization, pg_temp.api_key, pg_temp.pg_proc;
DROP SCHEMA trap CASCADE;
REVOKE CREATE ON SCHEMA public FROM regress_pg_org_gateway;

-- Row security ----------------------------------------------------------------
-- Policies hide rows from readers of the tables, but never from the rules, even when forced on the owner.
CREATE ROLE regress_pg_org_analyst;
GRANT USAGE ON SCHEMA org TO regress_pg_org_analyst;
GRANT SELECT ON org.organization TO regress_pg_org_analyst;
SELECT format('ALTER TABLE org.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relname)
  FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname \gexec
CREATE POLICY helpers_only ON org.organization USING (organization_id = 'privileges-helper');
SET ROLE regress_pg_org_analyst;
SELECT organization_id FROM org.organization;
SET ROLE regress_pg_org_owner;
SELECT organization_id FROM org.organization;
SELECT o ->> 'organization_id' AS organization_id FROM json_array_elements(org_list()) AS o ORDER BY 1;
SELECT call, attempt(call) FROM (VALUES
    ($$org_new('Acme', 'privileges')$$),
    ($$org_update('privileges', max_budget => 11)$$),
    ($$org_member_add('privileges', '{"role": "org_admin", "user_id": "privileges-user"}', 1)$$),
    ($$key_generate('privileges-user', 'privileges', key => 'sk-hidden')$$),
    ($$usage_reserve('sk-hidden', 'm', 1, request_id => 'hidden')$$),
    ($$usage_settle(1, 'hidden')$$),
    ($$org_delete('{privileges}')$$)) AS t (call);
SELECT usage_verify();
SET ROLE regress_pg_org_gateway;
SELECT json_array_length(org_list(api_key => 'sk-admin')) AS listed;
SET row_security = off;
SELECT json_array_length(org_list(api_key => 'sk-admin')) AS listed;
RESET row_security;
RESET ROLE;
SELECT json_array_length(org_list()) AS listed;

-- Clean up --------------------------------------------------------------------
DROP SCHEMA org CASCADE;
DROP EXTENSION pg_org;
DROP OWNED BY regress_pg_org_owner, regress_pg_org_noinherit, regress_pg_org_gateway;
DROP ROLE regress_pg_org_owner, regress_pg_org_helper, regress_pg_org_noinherit, regress_pg_org_gateway,
          regress_pg_org_stranger, regress_pg_org_analyst;
