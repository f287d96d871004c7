// Replacing the secrets of keys.

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "key_rights.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement find_grace{
    "SELECT previous_expires FROM org.api_key WHERE key_id = $1 AND previous_expires > statement_timestamp()"};

// Without a grace period for this secret, the previous one keeps its own.
constinit Statement replace_secret{R"(
    UPDATE org.api_key
       SET previous_key_hash = CASE WHEN $4 IS NOT NULL THEN key_hash
                                    WHEN previous_expires > statement_timestamp() THEN previous_key_hash END,
           previous_expires = CASE WHEN $4 IS NOT NULL THEN $4
                                   WHEN previous_expires > statement_timestamp() THEN previous_expires END,
           key_hash = $2,
           key_name = $3,
           expires = coalesce($5, expires),
           delegated = delegated OR $6,
           updated_at = now(),
           updated_by = $7
     WHERE key_id = $1)"};

} // namespace

PG_ORG_WRITE(key_regenerate)
{
    const Text key = session.required<Text>("key");
    const auto grace_until = session.argument("grace_period", from_now);
    const auto expires = session.argument("duration", from_now);
    // As in key_update, holders of a key do not change when it expires.
    const NamedKey named =
        lock_key_to_change(session, key, expires ? Allowed::admins : Allowed::key_user_too, "/key/regenerate");

    const Caller &caller = session.caller;
    const bool delegated = is_delegated(caller, named.user_id);
    if (delegated && named.has_permissions)
        forbidden("Only proxy admins and its user can replace the secret of a key that has permissions. "
                  "Your role is = %s",
                  role_name(caller.role));
    if (const Rows grace = session.run(find_grace, named.key_id); grace_until && !grace.empty())
        exists_already("The secret before this one still works until %s. Replace this one without a grace_period, or "
                       "wait until then",
                       iso_8601(*grace[0].get<Time>(0)));
    const Text secret = session.new_secret();
    session.run(replace_secret, named.key_id, digest(secret), name_of_secret(secret), grace_until, expires, delegated,
                caller.user_id);
    write_new_key(session, named.key_id, secret);
}
