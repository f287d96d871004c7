// Replacing the secrets of keys.

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "key_change.hpp"
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
           delegated = delegated OR $5,
           updated_at = now(),
           updated_by = $6
     WHERE key_id = $1
       AND NOT EXISTS (SELECT FROM org.api_key WHERE key_hash = $2 OR previous_key_hash = $2)
    RETURNING key_id)"};

} // namespace

PG_ORG_WRITE(key_regenerate)
{
    const Text key = session.required<Text>("key");
    const auto grace_until = session.argument("grace_period", from_now);
    const auto chosen = session.argument("new_key", chosen_secret);
    const KeyChange change = read_key_change(session);
    const Caller &caller = session.caller;
    if (chosen && !caller.is_proxy_admin())
        forbidden("You are not allowed to choose a new_key, only proxy admins are. Your role is = %s",
                  role_name(caller.role));
    const NamedKey named = change_key(session, key, change, "/key/regenerate");

    const bool delegated = is_delegated(caller, named.user_id);
    if (delegated && named.has_permissions)
        forbidden("You are not allowed to replace the secret of a key that has permissions, only proxy admins and its "
                  "user are. Your role is = %s",
                  role_name(caller.role));
    if (const Rows grace = session.run(find_grace, named.key_id); grace_until && !grace.empty())
        exists_already("The secret before this one still works until %s. Replace this one without a grace_period, or "
                       "wait until then",
                       iso_8601(*grace[0].get<Time>(0)));
    const Text secret = chosen ? *chosen : session.new_secret();
    if (session
            .run(replace_secret, named.key_id, digest(secret), name_of_secret(secret), grace_until, delegated,
                 caller.user_id)
            .empty())
        exists_already("Key already exists");
    write_new_key(session, named.key_id, secret);
}
