// Changing keys.

#include "base/duration.hpp"
#include "base/fail.hpp"
#include "key_rights.hpp"
#include "models.hpp"
#include "ownership.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement set_blocked{
    "UPDATE org.api_key SET blocked = $2, updated_at = now(), updated_by = $3 WHERE key_id = $1"};

constinit Statement update_key{R"(
    UPDATE org.api_key
       SET key_alias = CASE WHEN 'key_alias' = ANY ($14) THEN NULL ELSE coalesce($2, key_alias) END,
           models = coalesce($3, models),
           metadata = coalesce($4, metadata),
           permissions = coalesce($5, permissions),
           expires = CASE WHEN 'duration' = ANY ($14) THEN NULL ELSE coalesce($6, expires) END,
           max_budget = CASE WHEN 'max_budget' = ANY ($14) THEN NULL ELSE coalesce($7, max_budget) END,
           model_max_budget = coalesce($8, model_max_budget),
           tpm_limit = CASE WHEN 'tpm_limit' = ANY ($14) THEN NULL ELSE coalesce($9, tpm_limit) END,
           rpm_limit = CASE WHEN 'rpm_limit' = ANY ($14) THEN NULL ELSE coalesce($10, rpm_limit) END,
           max_parallel_requests = CASE WHEN 'max_parallel_requests' = ANY ($14) THEN NULL
                                        ELSE coalesce($11, max_parallel_requests) END,
           budget_duration = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL ELSE coalesce($12, budget_duration) END,
           budget_reset_at = CASE WHEN 'budget_duration' = ANY ($14) THEN NULL
                                  WHEN $12 <> coalesce(budget_duration, '') THEN $13
                                  ELSE budget_reset_at END,
           updated_at = now(),
           updated_by = $15
     WHERE key_id = $1)"};

void set_blocked_and_reply(Session &session, bool blocked, const char *route)
{
    const Text key = session.required<Text>("key");
    const NamedKey named = lock_key_to_change(session, key, Allowed::admins, route);
    session.run(set_blocked, named.key_id, blocked, session.caller.user_id);
    write_key(session, named.key_id);
}

} // namespace

PG_ORG_WRITE(key_update)
{
    const Text key = session.required<Text>("key");
    const auto key_alias = session.argument<Text>("key_alias");
    if (key_alias)
        identifier(key_alias, "key_alias");
    const auto models = session.argument("models", model_list);
    const auto metadata = session.argument("metadata", object);
    const auto permissions = session.argument("permissions", permissions_object);
    const auto expires = session.argument("duration", from_now);
    const OwnLimits limits = read_own_limits(session, LimitsOf::key);
    static constexpr std::array<Text, 7> clearable{
        "key_alias", "duration", "max_budget", "tpm_limit", "rpm_limit", "max_parallel_requests", "budget_duration"};
    const Texts clear = fields_to_clear(session, clearable);
    // Holders of a key may name it, but not change what limits them.
    const bool only_names = !models && !permissions && !expires && !limits.any() &&
                            std::ranges::all_of(clear, [](Text field) { return field == "key_alias"; });

    require_giver_of(session.caller, permissions);
    const NamedKey named =
        lock_key_to_change(session, key, only_names ? Allowed::key_user_too : Allowed::admins, "/key/update");
    session.run(update_key, named.key_id, key_alias, models, metadata, permissions, expires, limits.max_budget,
                limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.max_parallel_requests,
                limits.budget_duration, limits.budget_reset_at, clear, session.caller.user_id);
    if (models) {
        require_models_of_caller(session.caller, *models);
        require_key_within_owners(session, named.key_id);
    }
    write_key(session, named.key_id);
}

PG_ORG_WRITE(key_block) { set_blocked_and_reply(session, true, "/key/block"); }

PG_ORG_WRITE(key_unblock) { set_blocked_and_reply(session, false, "/key/unblock"); }
