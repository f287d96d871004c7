-- Bring the database of this session up to date: the extension, the tables, their
-- owner.  Does only what is missing, so it may be run again; fails with a message
-- where it needs a superuser and the session has none.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
BEGIN;

SELECT NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_org') AS extension_missing \gset
\if :extension_missing
    CREATE EXTENSION pg_org;
\endif
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_org' AND installed_version <> default_version)
       AS extension_outdated \gset
\if :extension_outdated
    ALTER EXTENSION pg_org UPDATE;
\endif
SELECT extnamespace::regnamespace AS schema FROM pg_extension WHERE extname = 'pg_org' \gset

SET LOCAL search_path = pg_catalog, pg_temp;

-- Anybody who may create schemas could have created this one, to own all its tables.
DO $$
DECLARE
    owner  name := (SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'org');
    setup  regprocedure := (SELECT format('%s.org_setup()', extnamespace::regnamespace) FROM pg_extension
                             WHERE extname = 'pg_org');
BEGIN
    IF owner <> 'org' AND NOT has_function_privilege(owner, setup, 'EXECUTE')
       AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('schema org belongs to %I, which may not call org_setup()', owner),
            HINT = format('If %1$I shall own all keys, GRANT EXECUTE ON FUNCTION %2$s TO %1$I; else drop the schema.',
                          owner, setup);
    END IF;
END $$;

-- The functions run their SQL as the tables' owner, which must not be a superuser:
-- a superuser creates one.
SELECT rolsuper AS superuser, current_database() AS database,
       coalesce((SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'org'),
                CASE WHEN rolsuper THEN 'org' ELSE rolname END) AS owner
FROM pg_roles WHERE rolname = current_user \gset
\if :superuser
    SELECT set_config('pg_org.owner', :'owner', true) \g /dev/null
    DO $$
    BEGIN
        EXECUTE format('CREATE ROLE %I', current_setting('pg_org.owner'));
    EXCEPTION WHEN duplicate_object OR unique_violation THEN -- the latter where another database is set up just now
    END $$;
    GRANT CREATE ON DATABASE :"database" TO :"owner";
    GRANT EXECUTE ON FUNCTION :schema.org_setup() TO :"owner";
    SELECT :schema.org_grant_access(:'owner') \g /dev/null
    SET LOCAL ROLE :"owner";
\endif

SELECT to_regnamespace('org') IS NULL
       OR has_function_privilege(:'schema' || '.org_setup()', 'EXECUTE') AND pg_has_role(:'owner', 'USAGE')
       AS ours_to_set_up \gset
\if :ours_to_set_up
    SELECT :schema.org_setup() \g /dev/null
\endif

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_depend
               JOIN pg_extension ON pg_extension.oid = refobjid AND refclassid = 'pg_extension'::regclass
               JOIN pg_proc ON pg_proc.oid = objid AND classid = 'pg_proc'::regclass
               WHERE extname = 'pg_org' AND deptype = 'e' AND proname NOT IN ('org_setup', 'org_grant_access')
                 AND NOT has_function_privilege(objid, 'EXECUTE')) THEN
        RAISE insufficient_privilege USING
            MESSAGE = format('role %I may not call the functions of pg_org', current_user),
            HINT = format('Let its owner or a superuser run: SELECT org_grant_access(%L);', current_user);
    END IF;
END $$;
COMMIT;
