-- Setup: org_setup() and org_grant_access(), who may call them, and how the functions
-- behave before setup, after it and without the extension.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

-- Before org_setup() ----------------------------------------------------------
DROP SCHEMA org CASCADE;

-- Every function says so, with a key or without.
SELECT p.proname AS function,
       attempt(format('%I(%s)', p.proname, (SELECT string_agg('NULL', ', ')
                                              FROM generate_series(1, p.pronargs - p.pronargdefaults)))) AS answer
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org')
   AND p.proname NOT IN ('org_setup', 'org_grant_access')
 ORDER BY p.proname;
SELECT attempt($$org_new('acme', api_key => 'sk-anything')$$);

-- An empty schema of that name is no setup; org_setup() uses it if the caller owns it.
CREATE SCHEMA org;
SELECT attempt($$org_list()$$);

-- org_setup() -----------------------------------------------------------------
-- org_setup() makes nothing that a superuser would own.
SELECT attempt('org_setup()');
DROP SCHEMA org;
SELECT attempt('org_setup()'), to_regnamespace('org') IS NULL AS nothing_made;
CREATE SCHEMA org AUTHORIZATION org;
SELECT attempt('org_setup()');
-- It is refused if others have objects in the schema.
CREATE TABLE org.migration (version integer);
CREATE FUNCTION org.audit() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SET ROLE org;
SELECT attempt('org_setup()');
RESET ROLE;
DROP TABLE org.migration;
SET ROLE org;
SELECT attempt('org_setup()');
RESET ROLE;
DROP FUNCTION org.audit();
SET ROLE org;
SELECT org_setup();
SELECT count(*) AS tables, bool_and(relowner = current_user::regrole) AS all_ours
  FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition;
SELECT version FROM org.migration ORDER BY version;
SELECT user_id, user_role, created_by FROM org."user";

-- A repeated call changes nothing, even by a superuser.
SELECT fingerprint() AS contents,
       (SELECT md5(string_agg(a::text, ' ' ORDER BY a::text))
          FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'org'::regnamespace) AS columns
\gset before_
SELECT org_setup();
RESET ROLE;
SELECT org_setup();
SELECT fingerprint() = :'before_contents' AS same_contents,
       (SELECT md5(string_agg(a::text, ' ' ORDER BY a::text))
          FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'org'::regnamespace)
       = :'before_columns' AS same_columns;

-- A setup can be rolled back; the session's cached plans survive.
SELECT org_new('Acme', 'setup-acme') ->> 'organization_id' AS made;
SET ROLE org;
BEGIN;
DROP SCHEMA org CASCADE;
SELECT org_setup();
SELECT json_array_length(org_list()) AS organizations;
ROLLBACK;
SELECT json_array_length(org_list()) AS organizations;
DROP SCHEMA org CASCADE;
SELECT org_setup();
SELECT json_array_length(org_list()) AS organizations;
RESET ROLE;

-- The data is yours -----------------------------------------------------------
-- Nothing in schema org belongs to the extension.
SELECT count(*)
  FROM pg_depend d
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org') AND d.classid <> 'pg_proc'::regclass;

SELECT org_new('Acme', 'setup-acme') ->> 'organization_id' AS made;
SELECT fingerprint() AS contents \gset before_
DROP EXTENSION pg_org;
SELECT fingerprint() = :'before_contents' AS same_contents;
CREATE EXTENSION pg_org;
SELECT org_info('setup-acme') ->> 'organization_alias' AS alias;
SELECT org_setup();
SELECT fingerprint() = :'before_contents' AS same_contents;

-- Columns, indexes, defaults and policies that users add do no harm.
ALTER TABLE org.organization ADD COLUMN country text DEFAULT 'NL', ENABLE ROW LEVEL SECURITY;
CREATE INDEX ON org.organization (country);
SELECT org_new('Beta', 'setup-beta') -> 'country' AS country;
SELECT country FROM org.organization WHERE organization_id = 'setup-beta';
SELECT org_setup();
SELECT json_array_length(org_delete('{setup-acme, setup-beta}')) AS deleted;
ALTER TABLE org.organization DROP COLUMN country, DISABLE ROW LEVEL SECURITY;

-- Privileges for setup --------------------------------------------------------
DROP SCHEMA org CASCADE;
CREATE ROLE regress_pg_org_owner;
CREATE ROLE regress_pg_org_helper;
CREATE ROLE regress_pg_org_other;
GRANT regress_pg_org_owner TO regress_pg_org_helper;

-- The caller needs EXECUTE on org_setup() and CREATE on the database.
SET ROLE regress_pg_org_owner;
SELECT attempt('org_setup()'), to_regnamespace('org') IS NULL AS nothing_made;
RESET ROLE;
GRANT EXECUTE ON FUNCTION org_setup() TO regress_pg_org_owner, regress_pg_org_other;
SET ROLE regress_pg_org_owner;
SELECT replace(attempt('org_setup()'), current_database(), '<database>') AS attempt,
       to_regnamespace('org') IS NULL AS nothing_made;
RESET ROLE;

-- The caller owns all objects, and need not be a superuser.
GRANT CREATE ON DATABASE :"DBNAME" TO regress_pg_org_owner;
SET ROLE regress_pg_org_owner;
SELECT org_setup();
SELECT current_user;
RESET ROLE;
REVOKE CREATE ON DATABASE :"DBNAME" FROM regress_pg_org_owner;
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'org';
SELECT count(*) FILTER (WHERE relowner <> 'regress_pg_org_owner'::regrole) AS not_theirs
  FROM pg_class WHERE relnamespace = 'org'::regnamespace;

-- The owner, its members and superusers may repeat the call; others may not.
SELECT org_setup();
SET ROLE regress_pg_org_owner;
SELECT org_setup();
SET ROLE regress_pg_org_helper;
SELECT org_setup();
SET ROLE regress_pg_org_other;
SELECT attempt('org_setup()');
RESET ROLE;

-- If the owner becomes a superuser, every function refuses.
ALTER ROLE regress_pg_org_owner SUPERUSER;
SELECT attempt('org_setup()');
SELECT DISTINCT attempt(format('%I(%s)', p.proname, (SELECT string_agg('NULL', ', ')
                                                       FROM generate_series(1, p.pronargs - p.pronargdefaults))))
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org')
   AND p.proname NOT IN ('org_setup', 'org_grant_access', 'org_etag');
SET ROLE regress_pg_org_owner;
SELECT attempt('org_list()');
RESET ROLE;
ALTER ROLE regress_pg_org_owner NOSUPERUSER;
SELECT attempt('org_list()');

-- A role that made the schema beforehand, even with a similar table, gets no keys when a superuser runs setup later.
DROP SCHEMA org CASCADE;
CREATE SCHEMA org AUTHORIZATION regress_pg_org_other;
SET ROLE regress_pg_org_owner;
SELECT attempt('org_setup()');
RESET ROLE;
SELECT attempt('org_setup()');
REVOKE EXECUTE ON FUNCTION org_setup() FROM regress_pg_org_other;
SET ROLE regress_pg_org_other;
CREATE TABLE org.migration (version integer);
RESET ROLE;
\setenv PGDATABASE :DBNAME
\! psql -Xqf "$PG_ABS_SRCDIR/tools/setup.sql" 2>&1 | sed -n 's/^psql:[^ ]* *//; /ERROR\|HINT/p'
DROP SCHEMA org CASCADE;
-- A role that may call org_setup() may have made the schema itself.
GRANT EXECUTE ON FUNCTION org_setup() TO regress_pg_org_other;
CREATE SCHEMA org AUTHORIZATION regress_pg_org_other;
\! psql -Xqf "$PG_ABS_SRCDIR/tools/setup.sql"
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'org'::regnamespace;
DROP SCHEMA org CASCADE;
DROP OWNED BY regress_pg_org_other;

-- org_grant_access() ----------------------------------------------------------
\! psql -Xqf "$PG_ABS_SRCDIR/tools/setup.sql"
SELECT call, attempt(call) FROM (VALUES
    ($$org_grant_access(NULL)$$),
    ($$org_grant_access('regress_nobody')$$),
    ($$org_grant_access('')$$)) AS t (call);
-- Without the context of the query inside.
SELECT org_grant_access('regress_nobody');
CREATE ROLE "regress_pg_org '""; role";
SELECT org_grant_access('regress_pg_org ''"; role');
SELECT org_grant_access('regress_pg_org ''"; role');
SELECT has_function_privilege('regress_pg_org ''"; role', p.oid, 'EXECUTE') AS granted,
       string_agg(p.proname, ' ' ORDER BY p.proname) AS functions
  FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
   AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org')
 GROUP BY 1 ORDER BY 1;
SELECT has_schema_privilege('regress_pg_org ''"; role', 'org', 'USAGE') AS may_enter_org;

-- Only the owner of the functions can grant access to them.
SET ROLE "regress_pg_org '""; role";
SELECT attempt($$org_grant_access('regress_pg_org_other')$$);
RESET ROLE;
GRANT EXECUTE ON FUNCTION org_grant_access(name) TO regress_pg_org_owner;
SET ROLE regress_pg_org_owner;
SELECT attempt($$org_grant_access('regress_pg_org_other')$$);
RESET ROLE;
SELECT has_function_privilege('regress_pg_org_other', 'org_list(text, text, bigint, text, text)', 'EXECUTE') AS granted;

-- Another schema --------------------------------------------------------------
DROP EXTENSION pg_org;
CREATE SCHEMA rules;
CREATE EXTENSION pg_org SCHEMA rules;
SELECT rules.org_grant_access('regress_pg_org_other');
SELECT has_schema_privilege('regress_pg_org_other', 'rules', 'USAGE') AS may_enter_rules,
       has_schema_privilege('regress_pg_org_other', 'org', 'USAGE') AS may_enter_org;
SELECT rules.org_setup();
SELECT rules.org_new('Acme', 'setup-acme') ->> 'organization_id' AS made;
SELECT json_array_length(rules.org_delete('{setup-acme}')) AS deleted;
ALTER EXTENSION pg_org SET SCHEMA public;

-- Clean up --------------------------------------------------------------------
DROP SCHEMA org CASCADE;
DROP SCHEMA rules CASCADE;
DROP EXTENSION pg_org;
DROP OWNED BY regress_pg_org_owner, regress_pg_org_helper, regress_pg_org_other, "regress_pg_org '""; role";
DROP ROLE regress_pg_org_owner, regress_pg_org_helper, regress_pg_org_other, "regress_pg_org '""; role";
