// Keys for people whom a single sign-on provider has identified.

#include "base/fail.hpp"
#include "key.hpp"
#include "lock.hpp"
#include "person.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement find_sso_user{R"(SELECT user_id FROM org."user" WHERE sso_user_id = $1)"};

constinit Statement name_user{R"(
    UPDATE org."user"
       SET sso_user_id = $2,
           updated_at = greatest(now(), created_at),
           updated_by = $3
     WHERE org.folded(btrim(user_email)) = org.folded(btrim($1))
       AND sso_user_id IS NULL
    RETURNING user_id)"};

// Not all at once, so that nobody waits for many.
constinit Statement delete_expired_keys{R"(
    DELETE FROM org.api_key
     WHERE key_id IN
           (SELECT key_id
              FROM org.api_key
             WHERE user_id = $1
               AND organization_id IS NULL
               AND team_id IS NULL
               AND budget_id IS NULL
               AND metadata @> $2
               AND expires < now()
             ORDER BY key_id
             LIMIT 100
               FOR UPDATE SKIP LOCKED))"};

// Who is known by this identifier; or else, for the first time, by this address. No address is taken from somebody who
// has an identifier already.
Maybe<Text> find_or_name_user(Session &session, Text sso_user_id, Maybe<Text> verified_email)
{
    Rows found = session.run(find_sso_user, sso_user_id);
    if (found.empty() && verified_email)
        found = session.run(name_user, *email_address(verified_email, "verified_email"), sso_user_id,
                            session.caller.user_id);
    if (found.empty()) // unless it has happened meanwhile
        found = session.run(find_sso_user, sso_user_id);
    return found.empty() ? Maybe<Text>{} : found[0].get<Text>(0);
}

void require_admin(const Caller &caller)
{
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can sign users in. Your role is = %s", role_name(caller.role));
}

} // namespace

PG_ORG_WRITE(sso_key)
{
    const Text sso_user_id = session.required<Text>("sso_user_id");
    identifier(sso_user_id, "sso_user_id");
    const auto verified_email = session.argument<Text>("verified_email");
    const Expiry expiry = read_expiry(session.required<Text>("duration"), "duration");
    if (expiry.never)
        invalid("duration", "must have an end");
    require_admin(session.caller);
    const auto user_id = find_or_name_user(session, sso_user_id, verified_email);
    if (!user_id)
        not_found("User not found for sso_user_id=%.*s", FMT_ARG(sso_user_id));
    lock_user(session, *user_id);
    session.look_up_caller_again(); // the caller may have lost the right while waiting for the lock
    require_admin(session.caller);

    NewKey key;
    key.user_id = user_id;
    key.expires = expiry.at;
    key.metadata = Json{DirectFunctionCall1(jsonb_in, CStringGetDatum(R"({"signed_in": true})"))};
    session.run(delete_expired_keys, *user_id, *key.metadata);
    const auto [secret, key_id] = create_key(session, key);
    write_new_key(session, key_id, secret);
}
