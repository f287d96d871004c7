-- Catalog checks of the extension and its tables. They cover all functions and tables,
-- so that new ones follow the same rules.
\getenv checkout PG_ABS_SRCDIR
\set helpers :checkout /test/helpers.sql
\i :helpers

CREATE TEMPORARY VIEW extension_function AS
    SELECT p.* FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid AND d.classid = 'pg_proc'::regclass
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org');
CREATE TEMPORARY VIEW org_table AS
    SELECT * FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition;
CREATE TEMPORARY VIEW org_column AS
    SELECT c.relname, attrelid, attnum, attname, atttypid, attcollation, attidentity, attgenerated
      FROM org_table c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE attnum > 0 AND NOT attisdropped;
CREATE TEMPORARY VIEW org_constraint AS
    SELECT c.relname, k.*, ARRAY(SELECT attname::text FROM unnest(k.conkey) WITH ORDINALITY AS key (attnum, place)
                                   JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = key.attnum
                                  ORDER BY place) AS columns
      FROM org_table c JOIN pg_constraint k ON k.conrelid = c.oid;

-- Functions -------------------------------------------------------------------
-- These are all functions, with their required and optional arguments.
SELECT proname, provolatile AS volatility, prorettype::regtype AS returns,
       concat_ws(' ', VARIADIC proargnames[1:pronargs - pronargdefaults]) AS required,
       concat_ws(' ', VARIADIC proargnames[pronargs - pronargdefaults + 1:]) AS optional
  FROM extension_function ORDER BY proname;

-- Function names are unique, in the extension and outside it.
SELECT p.proname, count(*) FROM pg_proc p
 WHERE p.proname IN (SELECT proname FROM extension_function) GROUP BY 1 HAVING count(*) > 1;

-- All functions are in C, none is SECURITY DEFINER, each pins its search path, and PUBLIC can't execute any.
SELECT proname FROM extension_function
 WHERE prosecdef OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')
    OR proconfig <> '{"search_path=pg_catalog, pg_temp"}' OR proconfig IS NULL;
SELECT proname FROM extension_function WHERE has_function_privilege('public', oid, 'EXECUTE');

-- No function is strict, because functions handle null arguments themselves.
SELECT proname FROM extension_function WHERE proisstrict;

-- api_key is the last argument, and every argument has a name.
SELECT proname FROM extension_function
 WHERE proname NOT IN ('org_setup', 'org_grant_access', 'org_warm_up')
   AND (proargnames[pronargs] IS DISTINCT FROM 'api_key' OR pg_get_function_arg_default(oid, pronargs) <> 'NULL::text');
SELECT proname FROM extension_function WHERE '' = ANY (proargnames) OR cardinality(proargnames) <> pronargs;

-- An argument's name has the same type in all functions, except for LiteLLM's two kinds of keys.
SELECT name, array_agg(DISTINCT type::regtype) AS types
  FROM extension_function, unnest(proargnames, proargtypes::oid[]) AS argument (name, type)
 WHERE proname NOT IN ('org_grant_access', 'key_bulk_update') GROUP BY name HAVING count(DISTINCT type) > 1;

-- A function's comment has a summary, a blank line and details, in lines of up to 100 characters. Its last sentence
-- names the callers.
SELECT proname, obj_description(oid, 'pg_proc') FROM extension_function
 WHERE coalesce(obj_description(oid, 'pg_proc'), '') !~ '^[A-Z][^\n]{5,60}\.\n\n(.+\n)?Callers: [^.]+\.$'
    OR obj_description(oid, 'pg_proc') ~ '[^\n]{101}';
-- Its list has arguments only.
SELECT proname, listed[1] AS argument
  FROM extension_function, regexp_matches(obj_description(oid, 'pg_proc'), '^- (\w+): ', 'gn') AS listed
 WHERE listed[1] <> ALL (proargnames);
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension_commented
  FROM pg_extension WHERE extname = 'pg_org';

-- The extension contains functions only.
SELECT classid::regclass FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_org') AND classid <> 'pg_proc'::regclass;

-- Tables ----------------------------------------------------------------------
SELECT relname FROM org_table ORDER BY relname;

-- The schema, all tables and all columns have comments.
SELECT obj_description('org'::regnamespace, 'pg_namespace') IS NOT NULL AS schema_commented;
SELECT relname FROM org_table WHERE obj_description(oid, 'pg_class') IS NULL;
SELECT relname, attname FROM org_column WHERE col_description(attrelid, attnum) IS NULL;

-- The schema has tables and indexes, no other relations but these, and only these functions, generated columns and
-- triggers.
SELECT relkind, relname FROM pg_class WHERE relnamespace = 'org'::regnamespace AND relkind NOT IN ('r', 'i', 'p', 'I')
 ORDER BY relname;
SELECT proname FROM pg_proc WHERE pronamespace = 'org'::regnamespace ORDER BY proname;
SELECT relname, attname FROM org_column WHERE attidentity <> '' OR attgenerated <> '' ORDER BY relname;
SELECT relname, tgname FROM org_table c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
 ORDER BY relname, tgname;

-- Only the owner has privileges on the schema and the tables.
SELECT relname, grantee::regrole FROM org_table, aclexplode(relacl) WHERE grantee <> relowner;
SELECT grantee::regrole FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'org' AND grantee <> nspowner;

-- Every table has a primary key, but for the ledger: a partitioned one would have to contain the time.
SELECT relname FROM org_table WHERE oid NOT IN (SELECT conrelid FROM org_constraint WHERE contype = 'p');

-- Tables of an organization have organization_id first in every key, and in every foreign key to such a table, or a
-- generated column that stands for it, since it is empty for teams of the platform. Calls under way are looked up by
-- their request_id, whatever their organization: so that comes first in theirs.
SELECT relname, conname, columns FROM org_constraint
 WHERE contype IN ('p', 'u') AND relname NOT IN ('migration', 'budget', 'user', 'api_key')
   AND columns[1] <> 'organization_id' ORDER BY relname;
SELECT relname, conname, columns FROM org_constraint
 WHERE contype = 'f' AND columns[1] <> 'organization_id'
   AND confrelid NOT IN ('org.budget'::regclass, 'org."user"'::regclass)
 ORDER BY relname, conname;
-- The other tables are global look-ups.
SELECT relname FROM org_constraint WHERE contype = 'p' AND columns[1] <> 'organization_id' ORDER BY relname;

-- Every foreign key has an index that begins with its columns; rows without a reference may be left out.
SELECT relname, conname, columns FROM org_constraint k
 WHERE contype = 'f' AND NOT EXISTS (
           SELECT FROM pg_index i
            WHERE i.indrelid = k.conrelid AND i.indisvalid
              AND (i.indpred IS NULL
                   OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', k.columns[1]))
              AND (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(k.conkey)] @> k.conkey);
-- A column that ends in _id references a row, unless it names its own row. The audit log, events and usage are
-- exceptions, because they outlive the rows that they name.
SELECT relname, string_agg(attname, ' ' ORDER BY attnum) AS columns FROM org_column c
 WHERE attname ~ '^(organization|user|team|budget)_id$'
   AND NOT EXISTS (SELECT FROM org_constraint k
                    WHERE k.conrelid = c.attrelid AND c.attnum = ANY (k.conkey)
                      AND (k.contype = 'f' OR k.contype = 'p' AND k.columns[cardinality(k.columns)] = c.attname))
 GROUP BY relname ORDER BY relname;

-- All tables record who created and changed a row and when, except those that record requests, calls and changes.
SELECT c.relname, string_agg(wanted, ' ' ORDER BY wanted) AS not_there
  FROM org_table c, unnest('{created_at, created_by, updated_at, updated_by}'::text[]) AS wanted
 WHERE c.relname <> 'migration' AND NOT EXISTS (SELECT FROM org_column a WHERE a.attrelid = c.oid AND attname = wanted)
 GROUP BY c.relname ORDER BY c.relname;

-- Money is exact, times have a time zone, and identifiers compare by byte.
SELECT relname, attname, atttypid::regtype FROM org_column
 WHERE atttypid IN ('real'::regtype, 'double precision'::regtype, 'money'::regtype, 'timestamp'::regtype,
                    'json'::regtype, 'varchar'::regtype, 'char'::regtype);
SELECT relname, attname FROM org_column
 WHERE attname ~ '(spend|budget)$' AND attname !~ '^model_' AND atttypid <> 'numeric'::regtype;
SELECT relname, attname FROM org_column WHERE attname ~ '_at$|^expires$' AND atttypid <> 'timestamptz'::regtype;
SELECT relname, attname FROM org_column
 WHERE attname ~ '_id$' AND atttypid <> 'bigint'::regtype AND attcollation <> '"C"'::regcollation;

-- Constraints -----------------------------------------------------------------
-- Each statement writes to the tables directly, as only their owner can.
BEGIN;
INSERT INTO org.budget (budget_id) VALUES ('catalog-budget');
INSERT INTO org.organization (organization_id, organization_alias, budget_id)
VALUES ('catalog', 'Catalog', 'catalog-budget');
INSERT INTO org."user" (user_id) VALUES ('catalog-user');
INSERT INTO org.membership (organization_id, user_id, user_role) VALUES ('catalog', 'catalog-user', 'org_admin');
INSERT INTO org.team (organization_id, team_id) VALUES ('catalog', 'catalog-team');
INSERT INTO org.team_member (organization_id, team_id, user_id, role)
VALUES ('catalog', 'catalog-team', 'catalog-user', 'user');
INSERT INTO org.end_user (organization_id, end_user_id) VALUES ('catalog', 'catalog-end-user');
INSERT INTO org.api_key (key_hash, key_id, key_name) VALUES (repeat('0', 64), 'catalog-key', 'sk-...0000');
INSERT INTO org.reservation
VALUES ('catalog', 'held', 'catalog-key', '', '', 'm', '{}', 1, 1, now(), now() + interval '1 hour');
INSERT INTO org.usage (organization_id, request_id, key_id, team_id, user_id, model, tags, state, max_cost, max_tokens,
                       reserved_at, expires_at, closed_at)
VALUES ('catalog', 'over', 'catalog-key', '', '', 'm', '{}', 'settled', 1, 1, now(), now() + interval '1 hour', now());
INSERT INTO org.usage_counter
VALUES ('catalog', '', '', '', '', '', '', '', '', now(), 0, 0, now(), 'infinity', '{}', '{}', '{}', '{}', '{}', '{}');
INSERT INTO org.usage_daily VALUES ('catalog', '2026-01-01', '', 'catalog-key', 'm', 0, 0, 0, 0, 0, 0, 0);
INSERT INTO org.usage_refusal
VALUES ('catalog', '', '', '', '', now(), 'cost', 'limits', '', '', '', '', 0, 1, now());

-- Numbers are finite and not negative.
SELECT relname, attname, value,
       left(attempt(format('UPDATE org.%I SET %I = %L', relname, attname, value)), 5) AS answer
  FROM org_column, unnest('{-1, NaN, Infinity, 0}'::text[]) WITH ORDINALITY AS tried (value, place)
 WHERE atttypid = 'numeric'::regtype ORDER BY relname, attname, place;
SELECT relname, attname,
       left(attempt(format('UPDATE org.%I SET %I = -1', relname, attname)), 5) AS answer
  FROM org_column WHERE atttypid = 'bigint'::regtype ORDER BY relname, attname;
-- JSON values are objects.
SELECT relname, attname,
       left(attempt(format('UPDATE org.%I SET %I = %L', relname, attname, '[]')), 5) AS answer
  FROM org_column WHERE atttypid = 'jsonb'::regtype ORDER BY relname, attname;
-- Identifiers are not empty, roles and digests are valid, and references point to existing rows.
SELECT command, left(attempt(command), 5) AS answer FROM (VALUES
    ($$INSERT INTO org.budget (budget_id) VALUES ('')$$),
    ($$INSERT INTO org.organization (organization_id, organization_alias, budget_id)
       VALUES ('', '', 'catalog-budget')$$),
    ($$INSERT INTO org.organization (organization_id, organization_alias, budget_id) VALUES ('x', '', 'nowhere')$$),
    ($$INSERT INTO org.organization (organization_id, organization_alias) VALUES ('x', '')$$),
    ($$INSERT INTO org."user" (user_id) VALUES ('')$$),
    ($$INSERT INTO org.team (organization_id, team_id) VALUES ('catalog', '')$$),
    ($$INSERT INTO org.team (organization_id, team_id) VALUES ('nowhere', 'team')$$),
    ($$UPDATE org."user" SET user_role = 'org_admin' WHERE user_id = 'catalog-user'$$),
    ($$UPDATE org.membership SET user_role = 'proxy_admin' WHERE organization_id = 'catalog'$$),
    ($$UPDATE org.membership SET budget_id = 'nowhere' WHERE organization_id = 'catalog'$$),
    ($$UPDATE org.team_member SET role = 'org_admin' WHERE organization_id = 'catalog'$$),
    ($$INSERT INTO org.team_member (organization_id, team_id, user_id, role)
       VALUES ('catalog', 'catalog-team', 'default_user_id', 'user')$$),
    ($$UPDATE org.api_key SET key_hash = 'sk-secret' WHERE key_id = 'catalog-key'$$),
    ($$UPDATE org.api_key SET key_hash = repeat('A', 64) WHERE key_id = 'catalog-key'$$),
    ($$UPDATE org.api_key SET team_id = 'nowhere', organization_id = 'catalog' WHERE key_id = 'catalog-key'$$),
    ($$INSERT INTO org.end_user (organization_id, end_user_id) VALUES ('catalog', '')$$),
    ($$INSERT INTO org.end_user (organization_id, end_user_id) VALUES ('nowhere', 'end-user')$$),
    ($$UPDATE org.end_user SET budget_id = 'nowhere' WHERE organization_id = 'catalog'$$),
    ($$UPDATE org.usage SET state = 'held'$$),
    ($$INSERT INTO org.reservation SELECT * FROM org.reservation$$),
    ($$DELETE FROM org.budget WHERE budget_id = 'catalog-budget'$$)) AS t (command);
-- A digest has 64 lower-case hexadecimal digits and nothing else.
SELECT digest, left(attempt(format('UPDATE org.api_key SET key_hash = %L', digest)), 5) AS answer
  FROM (VALUES (repeat('0123456789abcdef', 4)), (repeat('f', 63)), (repeat('f', 65)), (repeat('f', 63) || 'g'),
               ('F' || repeat('f', 63)), (repeat('f', 63) || E'\n'), (repeat('f', 64) || E'\n'), (repeat('٣', 64)),
               (repeat('f', 63) || '-'), ('')) AS t (digest);
ROLLBACK;
