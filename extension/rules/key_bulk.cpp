// Changing many keys, each by itself.

#include "base/attempt.hpp"
#include "budget.hpp"
#include "key_change.hpp"
#include "lock.hpp"
#include "person.hpp"
#include "show.hpp"
#include "team.hpp"

using namespace pg_org;

namespace {

// One of the changes that a request lists, and what became of it.
struct ListedChange {
    Text key;
    Value fields;
    Maybe<Refusal> refusal;
    Text key_id; // of a changed key
};

ListedChange read_listed(const Value &value)
{
    if (!value.is_object())
        invalid(value.path(), "must be an object with a key");
    const Value key = value.member("key");
    return {required(optional_text(key), key.path()), value, {}, {}};
}

KeyChange read_change(const Value &fields)
{
    KeyChange change;
    const Json object = fields.as_object();
    const auto clear = allocate<Text>(size(object));
    size_t cleared = 0;
    for (const auto &[name, value] : members(object, fields.path())) {
        const bool can_be_cleared = name == "budget_id" || name == "max_budget";
        if (value.is_null() && can_be_cleared)
            clear[cleared++] = name;
        if (value.is_null() || name == "key")
            continue;
        if (name == "budget_id")
            change.budget_id = optional_text(value);
        else if (name == "max_budget")
            change.limits.max_budget = money(value.as_number(), value.path());
        else if (name == "team_id")
            change.team_id = optional_text(value);
        else if (name == "tags")
            change.tags = tag_list(value.as_texts(), value.path());
        else
            invalid(value.path(), "is not supported");
    }
    change.clear = clear.first(cleared);
    return change;
}

// Locks the organizations of all keys, and of the teams that they move to, before any of them is changed: later
// changes would lock them out of order.
void lock_organizations_of(Session &session, std::span<const ListedChange> items)
{
    const auto organizations = allocate<Text>(2 * items.size());
    size_t count = 0;
    for (const ListedChange &item : items) {
        CHECK_FOR_INTERRUPTS();
        const auto key = find_key(session, item.key);
        if (key && key->organization_id)
            organizations[count++] = *key->organization_id;
        const auto team_id = item.fields.member("team_id").text();
        const auto team = team_id ? find_team(session, *team_id, {}) : Maybe<TeamName>{};
        if (team && !team->is_of_platform())
            organizations[count++] = team->organization_id;
    }
    lock_organizations(session, organizations.first(count));
}

} // namespace

PG_ORG_WRITE(key_bulk_update)
{
    const auto items = read_list(required(session.json("keys"), "keys"), read_listed);
    lock_organizations_of(session, items);
    for (ListedChange &item : items) {
        CHECK_FOR_INTERRUPTS();
        item.refusal = attempt(
            [&] { item.key_id = change_key(session, item.key, read_change(item.fields), "/key/update").key_id; });
    }

    Writer &reply = session.reply;
    reply.begin_object().key("total_requested").value(static_cast<int64>(items.size()));
    reply.key("successful_updates").begin_array();
    for (const ListedChange &item : items)
        if (!item.refusal)
            write_key_as_asked(session, item.key, item.key_id);
    reply.end_array().key("failed_updates").begin_array();
    for (const ListedChange &item : items)
        if (item.refusal) {
            const auto key = find_key(session, item.key);
            reply.begin_object().key("key").value(key ? shown_as_asked(session, item.key, key->key_id) : item.key);
            reply.key("reason").value(to_text(item.refusal->message)).end_object();
        }
    reply.end_array().end_object();
}
