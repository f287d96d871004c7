// Setting up: the tables, and who may call the functions.

#include "caller.hpp"
#include "fail.hpp"
#include "session.hpp"

using namespace pg_org;

namespace {

// In order; the first has number 1.
constexpr std::array<const char *, 29> migrations{
#include "migrations/1_tables.inc"
    ,
#include "migrations/2_audit.inc"
    ,
#include "migrations/3_idempotency.inc"
    ,
#include "migrations/4_usage.inc"
    ,
#include "migrations/5_event.inc"
    ,
#include "migrations/6_identity.inc"
    ,
#include "migrations/7_statements.inc"
    ,
#include "migrations/8_quotas.inc"
    ,
#include "migrations/9_comments.inc"
    ,
#include "migrations/10_alias.inc"
    ,
#include "migrations/11_lists.inc"
    ,
#include "migrations/12_teams.inc"
    ,
#include "migrations/13_keys.inc"
    ,
#include "migrations/14_kept.inc"
    ,
#include "migrations/15_limits.inc"
    ,
#include "migrations/16_counters.inc"
    ,
#include "migrations/17_end_users.inc"
    ,
#include "migrations/18_counter_key.inc"
    ,
#include "migrations/19_former_owner.inc"
    ,
#include "migrations/20_ledger_key.inc"
    ,
#include "migrations/21_spend_logs.inc"
    ,
#include "migrations/22_partitions.inc"
    ,
#include "migrations/23_archive.inc"
    ,
#include "migrations/24_many_keys.inc"
    ,
#include "migrations/25_request_digest.inc"
    ,
#include "migrations/26_usage_refusal.inc"
    ,
#include "migrations/27_key_team.inc"
    ,
#include "migrations/28_lock_briefly.inc"
    ,
#include "migrations/29_vacuumed_partitions.inc"
};

void run(const char *sql)
{
    const int result = SPI_execute(sql, false, 0);
    if (result < 0)
        elog(ERROR, "could not run a migration: %s", SPI_result_code_string(result));
}

Row single_row(const char *sql)
{
    run(sql);
    return Rows{SPI_tuptable, SPI_processed}[0];
}

int64 applied_migrations()
{
    const Oid schema = get_namespace_oid("org", true);
    if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("migration", schema)))
        return 0;
    return *single_row("SELECT coalesce(max(version), 0)::bigint FROM org.migration").get<int64>(0);
}

// Makes a second call wait, so that it finds what the first one did.
void one_at_a_time(const char *function)
{
    run(psprintf("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", quote_literal_cstr(function)));
    AcceptInvalidationMessages();
}

// Checks a schema org that has no tables of ours: it must be the caller's, and contain nothing of other roles.
void require_own_schema(Oid schema, Oid owner)
{
    const auto refuse = [](const char *message) {
        raise({.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
               .message = message,
               .hint = "Drop the schema if nobody needs it, then try again."});
    };
    if (owner != GetUserId())
        refuse(psprintf("schema org belongs to %s and has no tables of pg_org", GetUserNameFromId(owner, false)));
    if (*single_row(psprintf("SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = %u AND relowner <> %u)"
                             "     + (SELECT count(*) FROM pg_proc WHERE pronamespace = %u AND proowner <> %u)",
                             schema, owner, schema, owner))
             .get<int64>(0) > 0)
        refuse("schema org has things in it that are not of its owner");
}

Oid owner_of_relation(Oid relation)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for relation %u", relation);
    const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

void require_right_to_create_schemas()
{
    const Row right =
        single_row("SELECT has_database_privilege(current_database(), 'CREATE'),"
                   "       format('permission denied for database %s', current_database()),"
                   "       format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user)");
    if (!*right.get<bool>(0))
        raise({.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
               .message = c_string(*right.get<Text>(1)),
               .hint = c_string(*right.get<Text>(2))});
}

// The owner of schema org, which is created if it is missing. The caller must be able to act as the owner.
Oid find_or_make_owner()
{
    if (!OidIsValid(get_namespace_oid("org", true))) {
        refuse_superuser(GetUserId());
        require_right_to_create_schemas();
        run("CREATE SCHEMA org; COMMENT ON SCHEMA org IS 'The organizations of an LLM platform: see org_setup().'");
    }
    HeapTuple tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("org"));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for schema org");
    const Oid schema = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->oid;
    const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
    ReleaseSysCache(tuple);
    if (!has_privs_of_role(GetUserId(), owner))
        raise({.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
               .message = "must be owner of schema org",
               .hint = psprintf("Call org_setup() as %s.", GetUserNameFromId(owner, false))});
    const Oid migration = get_relname_relid("migration", schema);
    if (!OidIsValid(migration) || owner_of_relation(migration) != owner)
        require_own_schema(schema, owner);
    return owner;
}

} // namespace

PG_ORG_FUNCTION(org_setup)
{
    SPI_connect();
    one_at_a_time("org_setup");
    const Acting acting = act_as(find_or_make_owner());
    for (auto version = static_cast<size_t>(applied_migrations()); version < migrations.size(); version++) {
        run(migrations[version]);
        run(psprintf("INSERT INTO org.migration (version) VALUES (%zu)", version + 1));
    }
    SPI_finish();
    act_as_before(acting);
    PG_RETURN_VOID();
}

PG_ORG_FUNCTION(org_grant_access)
{
    if (PG_ARGISNULL(0))
        missing("role");
    get_role_oid(NameStr(*PG_GETARG_NAME(0)), false); // refuses one that does not exist
    SPI_connect();
    one_at_a_time("org_grant_access");
    const Row grants =
        single_row(psprintf("SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE WITH GRANT OPTION'))::int::bigint,"
                            "       format('GRANT EXECUTE ON FUNCTION %%s TO %%I',"
                            "              string_agg(p.oid::regprocedure::text, ', '), r),"
                            "       string_agg(DISTINCT format('GRANT USAGE ON SCHEMA %%I TO %%I', n.nspname, r), '; ')"
                            "           FILTER (WHERE NOT has_schema_privilege(r, n.oid, 'USAGE'))"
                            "  FROM (SELECT %s::name) AS given (r)"
                            "  JOIN pg_extension e ON e.extname = 'pg_org'"
                            "  JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid"
                            "  JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
                            "  JOIN pg_namespace n ON n.oid = p.pronamespace"
                            " WHERE p.proname NOT IN ('org_setup', 'org_grant_access')"
                            " GROUP BY r",
                            quote_literal_cstr(NameStr(*PG_GETARG_NAME(0)))));
    // GRANT without the grant option only warns; the caller must get an error.
    if (grants.get<int64>(0) != 1)
        raise({.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
               .message = "must be owner of the extension's functions to grant access to them",
               .hint = "Call org_grant_access() as the role that ran CREATE EXTENSION, or as a superuser."});
    run(c_string(*grants.get<Text>(1)));
    if (const auto usage = grants.get<Text>(2))
        run(c_string(*usage));
    SPI_finish();
    PG_RETURN_VOID();
}
