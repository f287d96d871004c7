// Deleting keys.

#include "base/fail.hpp"
#include "key_change.hpp"
#include "lock.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constinit Statement delete_key{"DELETE FROM org.api_key WHERE key_id = $1 RETURNING key_id"};

constinit Statement find_keys_of_aliases{"SELECT k.key_alias, k.key_id, k.organization_id, k.user_id" VISIBLE_KEYS
                                         " AND k.key_alias = ANY ($4)",
                                         Planned::each_time};

// The keys with these aliases that the caller may delete, which must be one for each. Keys of others do not show.
Texts keys_of_aliases(Session &session, Texts aliases)
{
    const Caller &caller = session.caller;
    const auto administered =
        caller.is_proxy_admin() ? Maybe<Texts>{} : Maybe<Texts>{administered_organizations(session)};
    const auto may_delete = [&](const NamedKey &key) {
        return may_change(session, key, Allowed::key_user_too, "/key/delete");
    };
    const auto alias_of = [](const Row &row) { return *row.get<Text>(0); };
    const auto rows = session.run(find_keys_of_aliases, administered, caller.user_id, caller.organization_id, aliases)
                          .sorted_by(alias_of);
    const auto ids = allocate<Text>(aliases.size());
    for (size_t i = 0; i < aliases.size(); i++) {
        size_t count = 0;
        for (const Row &row : std::ranges::equal_range(rows, aliases[i], {}, alias_of))
            if (may_delete(
                    {.key_id = *row.get<Text>(1), .organization_id = row.get<Text>(2), .user_id = row.get<Text>(3)}) &&
                count++ == 0)
                ids[i] = *row.get<Text>(1);
        if (count == 0)
            not_found("Key not found for key_alias=%.*s", FMT_ARG(aliases[i]));
        if (count > 1)
            refused("%zu keys have key_alias=%.*s. Please use 'keys' instead.", count, FMT_ARG(aliases[i]));
    }
    return ids;
}

} // namespace

PG_ORG_WRITE(key_delete)
{
    const Texts keys = each_once(session.argument("keys", text_list).value_or(Texts{}));
    const Texts aliases = each_once(session.argument("key_aliases", text_list).value_or(Texts{}));
    const Texts of_aliases = keys_of_aliases(session, aliases);

    const auto named = allocate<NamedKey>(keys.size() + of_aliases.size());
    const auto organizations = allocate<Text>(named.size()), budgets = allocate<Text>(named.size());
    size_t in_organizations = 0, with_budgets = 0;
    for (size_t i = 0; i < named.size(); i++) {
        const Text key = i < keys.size() ? keys[i] : of_aliases[i - keys.size()];
        named[i] = key_to_change(session, key, Allowed::key_user_too, "/key/delete");
        if (named[i].organization_id)
            organizations[in_organizations++] = *named[i].organization_id;
        if (named[i].budget_id)
            budgets[with_budgets++] = *named[i].budget_id;
    }
    lock_organizations(session, Texts{organizations.first(in_organizations)});
    const Texts locked_budgets = lock_budgets(session, Texts{budgets.first(with_budgets)});

    session.reply.begin_object().key("deleted_keys").begin_array();
    for (size_t i = 0; i < named.size(); i++)
        session.reply.value(i < keys.size() ? shown_as_asked(session, keys[i], named[i].key_id)
                                            : aliases[i - keys.size()]);
    session.reply.end_array().end_object();

    std::ranges::sort(named, {}, &NamedKey::key_id);
    for (size_t i = 0; i < named.size(); i++) {
        if (i > 0 && named[i].key_id == named[i - 1].key_id)
            continue;
        // The caller may have lost the right while waiting for the locks.
        key_to_change(session, named[i].key_id, Allowed::key_user_too, "/key/delete");
        if (session.run(delete_key, named[i].key_id).empty())
            not_found("Key not found");
    }
    for (const Text budget_id : locked_budgets)
        delete_unowned_auto_created_budget(session, budget_id);
}
