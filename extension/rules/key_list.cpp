// Lists of keys and of their aliases.

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/paging.hpp"
#include "key_rights.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

// Keys that the caller sees (see SEES_KEY; with $4 also those of teams that let the caller list them), of the
// organization $5, the team $6, the user $7 (with $8 also those that the user made, and with $4 those of the teams),
// with the alias $9 and the token_id $10.
#define TEAMS_WITH_LISTED_KEYS                                                                                         \
    "ARRAY(SELECT t.team_id FROM org.team_member tm JOIN org.team t USING (organization_id, team_id)"                  \
    "       WHERE tm.user_id = $2 AND (tm.role = 'admin' OR '/key/list' = ANY (t.team_member_permissions))"            \
    "         AND ($3 IS NULL OR tm.organization_id = $3))"
#define LISTED_KEYS                                                                                                    \
    "  FROM org.api_key k"                                                                                             \
    " WHERE (" SEES_KEY " OR ($4 AND k.team_id = ANY (" TEAMS_WITH_LISTED_KEYS ")))"                                   \
    "   AND ($5 IS NULL OR k.organization_id = $5)"                                                                    \
    "   AND ($6 IS NULL OR k.team_id = $6)"                                                                            \
    "   AND ($7 IS NULL OR k.user_id = $7 OR ($8 AND k.created_by = $7)"                                               \
    "        OR ($4 AND $6 IS NULL AND k.team_id = ANY (" TEAMS_WITH_LISTED_KEYS ")))"                                 \
    "   AND ($9 IS NULL OR k.key_alias = $9)"                                                                          \
    "   AND ($10 IS NULL OR k.key_id = $10)"

// The direction must be that of both columns.
#define KEYS_BY(column, direction)                                                                                     \
    Statement                                                                                                          \
    {                                                                                                                  \
        "SELECT k.key_id, k.created_at" LISTED_KEYS " AND ($11 IS NULL OR (k.created_at, k.key_id) > ($11, $12))"      \
        " ORDER BY " column direction ", k.key_id" direction " LIMIT $13 OFFSET $14",                                  \
            Planned::each_time                                                                                         \
    }
#define KEY_ORDER(name, column) {name, KEYS_BY(column, ""), KEYS_BY(column, " DESC")}
constinit std::array<Order, 6> key_orders{{
    KEY_ORDER("created_at", "k.created_at"),
    KEY_ORDER("updated_at", "k.updated_at"),
    KEY_ORDER("spend", "k.spend"),
    KEY_ORDER("max_budget", "k.max_budget"),
    KEY_ORDER("key_alias", "k.key_alias"),
    {"token", KEYS_BY("k.key_id", ""), KEYS_BY("k.key_id", " DESC")},
}};

// Those outside the organizations $11.
constinit Statement count_keys{"SELECT count(*)" LISTED_KEYS
                               " AND ($11 IS NULL OR (k.organization_id = ANY ($11)) IS NOT TRUE)",
                               Planned::each_time};

constinit Statement find_key_page_start{"SELECT k.created_at FROM org.api_key k WHERE " SEES_KEY " AND k.key_id = $4",
                                        Planned::each_time};

// Aliases that have the text $4 in them.
#define LISTED_ALIASES                                                                                                 \
    "  FROM org.api_key k"                                                                                             \
    " WHERE " SEES_KEY " AND k.key_alias IS NOT NULL"                                                                  \
    "   AND ($4 IS NULL OR " HAS_PART("k.key_alias", "$4") ")"
#define ALIASES_BY(direction)                                                                                          \
    Statement                                                                                                          \
    {                                                                                                                  \
        "SELECT k.key_alias" LISTED_ALIASES " ORDER BY k.key_alias" direction ", k.key_id" direction                   \
        " LIMIT $5 OFFSET $6",                                                                                         \
            Planned::each_time                                                                                         \
    }
constinit std::array<Order, 1> alias_orders{{{"key_alias", ALIASES_BY(""), ALIASES_BY(" DESC")}}};

// Those outside the organizations $5.
constinit Statement count_aliases{"SELECT count(*)" LISTED_ALIASES
                                  " AND ($5 IS NULL OR (k.organization_id = ANY ($5)) IS NOT TRUE)",
                                  Planned::each_time};

constinit Statement show_listed_keys{"SELECT " KEY_COLUMNS R"(
      FROM unnest($1) WITH ORDINALITY AS asked (id, place)
      JOIN org.api_key k ON k.key_id = asked.id
     ORDER BY asked.place)",
                                     Planned::each_time};

constinit Statement find_names_of_users{R"(
    SELECT u.user_id, u.user_email, u.user_alias
      FROM org."user" u
     WHERE u.user_id = ANY ($1)
       AND ($2 IS NULL OR u.user_id = $3
            OR EXISTS (SELECT FROM org.membership m WHERE m.user_id = u.user_id AND m.organization_id = ANY ($2)))
     ORDER BY u.user_id)",
                                        Planned::each_time};

// What the caller wants to see of the keys that they see.
struct KeyFilter {
    bool include_team_keys, include_created_by_keys;
    Maybe<Text> organization_id, team_id, user_id, key_alias, key_hash;

    bool is_of_organization_only() const { return !team_id && !user_id && !key_alias && !key_hash; }
};

template <typename... Values> Rows run_on_keys(Session &session, Statement &statement, const Maybe<Texts> &visible,
                                               const KeyFilter &filter, const Values &...values)
{
    return session.run(statement, visible, session.caller.user_id, session.caller.organization_id,
                       filter.include_team_keys, filter.organization_id, filter.team_id, filter.user_id,
                       filter.include_created_by_keys, filter.key_alias, filter.key_hash, values...);
}

int64 count(Session &session, const Maybe<Texts> &visible, const KeyFilter &filter)
{
    if (!filter.is_of_organization_only())
        return *run_on_keys(session, count_keys, visible, filter, Maybe<Texts>{})[0].get<int64>(0);
    if (const auto &id = filter.organization_id; id && (!visible || std::ranges::binary_search(*visible, *id)))
        return list_total(session, "api_key", Texts{&*id, 1});
    if (!visible)
        return list_total(session, "api_key", {});
    const int64 administered = filter.organization_id ? 0 : list_total(session, "api_key", *visible);
    return administered + *run_on_keys(session, count_keys, Maybe<Texts>{Texts{}}, filter, visible)[0].get<int64>(0);
}

int64 count_aliases_found(Session &session, const Maybe<Texts> &visible, const Maybe<Text> &search)
{
    if (!visible && !search)
        return list_total(session, "key_alias", {});
    const auto count = [&](const Maybe<Texts> &organizations, const Maybe<Texts> &but_not) {
        return *session
                    .run(count_aliases, organizations, session.caller.user_id, session.caller.organization_id, search,
                         but_not)[0]
                    .get<int64>(0);
    };
    return search ? count(visible, {}) : list_total(session, "key_alias", *visible) + count(Texts{}, visible);
}

// Whether the keys shall have their users.
bool expands_user(Session &session)
{
    const Texts expand = session.argument("expand", text_list).value_or(Texts{});
    if (!std::ranges::all_of(expand, [](Text field) { return field == "user"; }))
        invalid("expand", "must be user");
    return !expand.empty();
}

// The users of keys who are of the caller's organizations, if they do not see all users (`visible` is none).
std::span<const Row> names_of_users(Session &session, const Rows &keys, const Maybe<Texts> &visible)
{
    const auto user_ids = allocate<Text>(keys.size());
    for (size_t i = 0; i < keys.size(); i++)
        user_ids[i] = keys[i].get<Text>(key_user_column).value_or(Text{});
    return session.run(find_names_of_users, Texts{user_ids}, visible, session.caller.user_id).all();
}

// Writes a key and its user: null if it has none, or one of whom the caller may not know.
void write_with_user(Writer &reply, const Row &key, std::span<const Row> users)
{
    const auto user_id = key.get<Text>(key_user_column);
    const auto found = std::ranges::equal_range(users, user_id.value_or(Text{}), {},
                                                [](const Row &user) { return *user.get<Text>(0); });
    reply.begin_object().columns(key, 0, key.columns()).key("user");
    if (found.empty())
        reply.null();
    else
        reply.object(found.front());
    reply.end_object();
}

void write_keys(Session &session, Texts key_ids, bool with_user, const Maybe<Texts> &visible)
{
    const Rows keys = session.run(show_listed_keys, key_ids);
    const auto users = with_user ? names_of_users(session, keys, visible) : std::span<const Row>{};
    for (const Row key : keys)
        if (with_user)
            write_with_user(session.reply, key, users);
        else
            session.reply.object(key);
}

void end_keys(Writer &reply, const ListPage &page)
{
    reply.end_array().key("total_count").value(page.total).key("current_page").value(page.number);
    reply.key("total_pages").value(page.total_pages);
}

} // namespace

void pg_org::warm_up_key_list(Session &session, Text nobody)
{
    const KeyFilter filter{.key_hash = nobody};
    run_on_keys(session, key_orders[0].descending, {}, filter, Maybe<Time>{}, Maybe<Text>{}, Maybe<int64>{1}, int64{0});
    list_total(session, nobody, {});
}

PG_ORG_READ(key_list)
{
    KeyFilter filter{};
    filter.user_id = session.argument<Text>("user_id");
    filter.team_id = session.argument<Text>("team_id");
    filter.organization_id = session.argument<Text>("organization_id");
    filter.key_alias = session.argument<Text>("key_alias");
    filter.key_hash = session.argument<Text>("key_hash");
    filter.include_team_keys = filter.team_id || session.argument<bool>("include_team_keys").value_or(false);
    filter.include_created_by_keys = session.argument<bool>("include_created_by_keys").value_or(false);
    const bool with_user = expands_user(session);
    const bool whole = session.argument<bool>("return_full_object").value_or(false) || with_user;
    const Asked asked = read_asked(session, {.size_name = "size", .size = 10, .descending = true}, key_orders);

    const auto visible = overseen_organizations(session);
    const auto start = [&] {
        return page_start(asked.after, "token_id", [&](Text id) {
            return session.run(find_key_page_start, visible, session.caller.user_id, session.caller.organization_id,
                               id);
        });
    };
    const auto read = [&](Statement &statement, const PageStart &from, Maybe<int64> limit, int64 offset) {
        return run_on_keys(session, statement, visible, filter, from.time, from.id, limit, offset);
    };
    const ListPage page = read_page(asked, key_orders, start, [&] { return count(session, visible, filter); }, read);

    Writer &reply = session.reply;
    reply.begin_object().key("keys").begin_array();
    if (whole)
        write_keys(session, page.ids, with_user, visible);
    else
        for (const Text id : page.ids)
            reply.value(id);
    end_keys(reply, page);
    reply.key("next").value(page.next).end_object();
}

PG_ORG_READ(key_aliases)
{
    const auto search = session.argument("search", part_of_name);
    const Asked asked = read_asked(session, {.size_name = "size", .size = 50});

    const Caller &caller = session.caller;
    const auto visible = overseen_organizations(session);
    const auto read = [&](Statement &statement, const PageStart &, Maybe<int64> limit, int64 offset) {
        return session.run(statement, visible, caller.user_id, caller.organization_id, search, limit, offset);
    };
    const ListPage page = read_page(
        asked, alias_orders, [] { return PageStart{}; }, [&] { return count_aliases_found(session, visible, search); },
        read);

    session.reply.begin_object().key("aliases").begin_array();
    for (const Text alias : page.ids)
        session.reply.value(alias);
    end_keys(session.reply, page);
    session.reply.end_object();
}
