// Acting as the owner of the tables, and coming back.

#include "owner.hpp"

#include "fail.hpp"

namespace pg_org {

Oid tables_owner()
{
    const Oid schema = get_namespace_oid("org", true);
    if (!OidIsValid(schema) || !OidIsValid(get_relname_relid("migration", schema)))
        raise({.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
               .message = "pg_org is not set up in this database",
               .hint = "Call org_setup() first, as the role that shall own the tables."});
    HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for schema %u", schema);
    const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
    ReleaseSysCache(tuple);
    return owner;
}

void refuse_superuser(Oid owner)
{
    if (superuser_arg(owner))
        raise({.sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
               .message = psprintf("the owner of schema org must not be a superuser, as %s is",
                                   GetUserNameFromId(owner, false)),
               .hint = "Let an ordinary role own the schema and all that is in it: for a new database run setup.sql; "
                       "else ALTER SCHEMA org OWNER TO that role, and likewise each table and function."});
}

Acting act_as(Oid owner)
{
    refuse_superuser(owner);
    Acting acting{};
    GetUserIdAndSecContext(&acting.user_before, &acting.security_before);
    int security = acting.security_before | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS;
    // Without this, code that runs as the owner could reset the role.
    if (acting.user_before != owner || GetSessionUserId() != owner) {
        // A deferred trigger would run at commit, as the caller. So the caller's own deferred triggers run now, and
        // constraints are immediate from here on; held cursors and temporary tables are refused.
        ConstraintsSetStmt *all_immediate = makeNode(ConstraintsSetStmt);
        AfterTriggerSetState(all_immediate);
        security |= SECURITY_RESTRICTED_OPERATION;
    }
    acting.settings = NewGUCNestLevel();
    SetUserIdAndSecContext(owner, security);
    return acting;
}

void act_as_before(const Acting &acting)
{
    AtEOXact_GUC(false, acting.settings);
    SetUserIdAndSecContext(acting.user_before, acting.security_before);
}

} // namespace pg_org
