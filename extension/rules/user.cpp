// Users: people and services, known to the whole platform.

#include "user.hpp"

#include "budget.hpp"
#include "base/duration.hpp"
#include "base/fail.hpp"
#include "key.hpp"
#include "models.hpp"
#include "organization.hpp"
#include "base/paging.hpp"
#include "quota.hpp"
#include "team.hpp"

using namespace pg_org;

namespace {

// A user u in wire order. Who does not see the whole of somebody sees who they are, and what they do in some
// organizations, to which the last parameter limits teams and the one before it memberships m.
#define WHOLE(is_whole, column) "CASE WHEN " is_whole " THEN u." column " END AS " column ", "
#define USER_COLUMNS(is_whole, memberships, teams)                                                                     \
    "u.user_id, u.user_email, u.user_alias, " WHOLE(is_whole, "user_role")                                             \
    "ARRAY(SELECT tm.team_id::text FROM org.team_member tm"                                                            \
    "       WHERE tm.user_id = u.user_id AND (" teams ") ORDER BY tm.created_at, tm.team_id) AS teams, "               \
    WHOLE(is_whole, "models") WHOLE(is_whole, "max_budget")                                                            \
    "CASE WHEN " is_whole " THEN u.spend ELSE (SELECT coalesce(sum(m.spend), 0) FROM org.membership m"                 \
    "  WHERE m.user_id = u.user_id AND " memberships ") END AS spend, "                                                \
    WHOLE(is_whole, "model_max_budget") WHOLE(is_whole, "model_spend") WHOLE(is_whole, "tpm_limit")                    \
    WHOLE(is_whole, "rpm_limit") WHOLE(is_whole, "budget_duration") WHOLE(is_whole, "budget_reset_at")                 \
    WHOLE(is_whole, "sso_user_id") "NULL::text AS organization_memberships, " WHOLE(is_whole, "metadata")              \
    WHOLE(is_whole, "created_at") WHOLE(is_whole, "updated_at") "CASE WHEN " is_whole " THEN u.quotas END AS quotas"
// Through the organizations $2; null is all of the user.
#define USER_COLUMNS_THROUGH                                                                                           \
    USER_COLUMNS("$2 IS NULL", "m.organization_id = ANY ($2)", "$2 IS NULL OR tm.organization_id = ANY ($2)")

constinit Statement show_users{
    "SELECT " USER_COLUMNS_THROUGH
    "  FROM unnest($1) WITH ORDINALITY AS asked (id, place) JOIN org.\"user\" u ON u.user_id = asked.id"
    " ORDER BY asked.place"};

constinit Statement show_user{"SELECT " USER_COLUMNS_THROUGH " FROM org.\"user\" u WHERE u.user_id = $1"};

constinit Statement lock_names{
    "SELECT pg_advisory_xact_lock(hash)"
    "  FROM (SELECT DISTINCT hashtextextended(org.folded(btrim(name)), 1869768034) AS hash"
    "          FROM unnest($1) AS name ORDER BY hash) AS sorted"};

constinit Statement lock_named_users{
    "SELECT FROM org.\"user\" WHERE user_id IN"
    "       (SELECT user_id FROM org.\"user\" WHERE user_id = ANY ($1) UNION"
    "        SELECT user_id FROM org.\"user\" u JOIN unnest($1) AS name ON " IS_EMAIL("u.user_email", "name") ")"
    " ORDER BY user_id FOR KEY SHARE"};

constinit Statement find_by_email{
    "SELECT user_id FROM org.\"user\" WHERE " IS_EMAIL("user_email", "$1") " FOR KEY SHARE"};

constinit Statement lock_one{"SELECT FROM org.\"user\" WHERE user_id = $1 FOR KEY SHARE"};

constinit Statement insert_user{
    "INSERT INTO org.\"user\" (user_id, user_email, user_alias, user_role, models, max_budget, model_max_budget,"
    "                          tpm_limit, rpm_limit, budget_duration, budget_reset_at, sso_user_id, metadata,"
    "                          created_by, updated_by, created_at, updated_at, quotas)"
    " VALUES ($1, $2, $3, $4, coalesce($5, '{}'), $6, coalesce($7, '{}'), $8, $9, $10, $11, $12, coalesce($13, '{}'),"
    "         $14, $14, $15, $15, coalesce($16, '{}'))"
    " ON CONFLICT DO NOTHING RETURNING user_id"};

constinit Statement find_administered_organizations_of{
    "SELECT organization_id FROM org.membership"
    " WHERE user_id = $1 AND organization_id IN"
    "       (SELECT organization_id FROM org.membership"
    "         WHERE user_id = $2 AND user_role = 'org_admin' AND ($3 IS NULL OR organization_id = $3))"
    " ORDER BY organization_id"};

constinit Statement lock_with_proxy_admins{
    "SELECT user_id, user_role = 'proxy_admin' FROM org.\"user\""
    " WHERE user_id = ANY ($1) OR user_role = 'proxy_admin' ORDER BY user_id FOR UPDATE"};

constinit Statement lock_to_change{"SELECT FROM org.\"user\" WHERE user_id = $1 FOR NO KEY UPDATE"};

constinit Statement update_user{
    "UPDATE org.\"user\""
    "   SET " CHANGED("user_email", "$2", "$13") ", " CHANGED("user_alias", "$3", "$13")
    ", user_role = coalesce($4, user_role), models = coalesce($5, models), " CHANGED("max_budget", "$6", "$13")
    ", model_max_budget = coalesce($7, model_max_budget), " CHANGED("tpm_limit", "$8", "$13") ", "
    CHANGED("rpm_limit", "$9", "$13") ", " CHANGED_DURATION("$10", "$11", "$13")
    ", metadata = coalesce($12, metadata),"
    "       quotas = CASE WHEN 'quotas' = ANY ($13) THEN '{}' ELSE coalesce($15, quotas) END,"
    "       updated_at = now(), updated_by = $14"
    " WHERE user_id = $1"};

constinit Statement find_organizations_of_users{
    "SELECT organization_id FROM org.membership WHERE user_id = ANY ($1) UNION "
    "SELECT organization_id FROM org.api_key WHERE user_id = ANY ($1) AND organization_id IS NOT NULL"
    " ORDER BY organization_id"};

constinit Statement find_budgets_of_users{
    "SELECT budget_id FROM org.membership WHERE user_id = ANY ($1) AND budget_id IS NOT NULL UNION "
    "SELECT budget_id FROM org.team_member WHERE user_id = ANY ($1) AND budget_id IS NOT NULL"};

constinit Statement delete_users{"DELETE FROM org.\"user\" WHERE user_id = ANY ($1)"};

// Users that the caller sees: $1 is null for all, else those in one of these organizations, and $2.
#define VISIBLE_USERS                                                                                                  \
    "  FROM org.\"user\" u"                                                                                            \
    " WHERE ($1 IS NULL OR u.user_id = ANY (ARRAY(SELECT m.user_id FROM org.membership m"                              \
    "                                              WHERE m.organization_id = ANY ($1) UNION SELECT $2)))"

constinit Statement find_page_start{"SELECT u.created_at" VISIBLE_USERS " AND u.user_id = $3",
    Planned::each_time};

// $1 as above; $2 is who the caller is and $11 what their key is confined to.
#define SEEN_WHOLE "($1 IS NULL OR (u.user_id = $2 AND $11 IS NULL))"
#define SEEN_INSIDE(organization_id)                                                                                   \
    "(" SEEN_WHOLE " OR " organization_id " = ANY ($1) OR (u.user_id = $2 AND " organization_id " = $11))"

constinit Statement list_users{
    "SELECT " USER_COLUMNS(SEEN_WHOLE, SEEN_INSIDE("m.organization_id"), SEEN_INSIDE("tm.organization_id"))
    VISIBLE_USERS
    "   AND ($3 IS NULL OR (u.user_role = $3 AND " SEEN_WHOLE "))"
    "   AND ($4 IS NULL OR position(org.folded($4) IN org.folded(u.user_email)) > 0)"
    "   AND ($5 IS NULL OR u.user_id = $5)"
    "   AND ($6 IS NULL OR EXISTS (SELECT FROM org.membership m WHERE m.user_id = u.user_id AND m.organization_id = $6"
    "                                 AND " SEEN_INSIDE("m.organization_id") "))"
    "   AND ($7 IS NULL OR EXISTS (SELECT FROM org.team_member tm WHERE tm.user_id = u.user_id AND tm.team_id = $7"
    "                                 AND " SEEN_INSIDE("tm.organization_id") "))"
    "   AND ($8 IS NULL OR (u.created_at, u.user_id) > ($8, $9))"
    " ORDER BY u.created_at, u.user_id LIMIT $10",
    Planned::each_time};

// The organizations through which the caller may see the user: none means without limit, an empty list not at all.
Maybe<Texts> seen_through(Session &session, Text user_id)
{
    const Caller &caller = session.caller;
    if (caller.reads_everything())
        return {};
    if (caller.user_id == user_id)
        return caller.organization_id ? Maybe<Texts>{organizations_of(session)} : Maybe<Texts>{};
    if (!caller.user_id)
        return Texts{};
    return session.run(find_administered_organizations_of, user_id, *caller.user_id, caller.organization_id).texts();
}

// White space, control characters and what else nobody sees, by their code points.
constexpr std::array<std::pair<pg_wchar, pg_wchar>, 12> unseen{{{0, 0x20},
                                                                {0x7f, 0xa0},
                                                                {0xad, 0xad},
                                                                {0x61c, 0x61c},
                                                                {0x1680, 0x1680},
                                                                {0x180e, 0x180e},
                                                                {0x2000, 0x200f},
                                                                {0x2028, 0x202f},
                                                                {0x205f, 0x206f},
                                                                {0x3000, 0x3000},
                                                                {0xfeff, 0xfeff},
                                                                {0xfff9, 0xfffb}}};

bool is_seen(pg_wchar character)
{
    return std::ranges::none_of(
        unseen, [&](const auto &range) { return range.first <= character && character <= range.second; });
}

// Characters of other encodings than UTF-8 are not looked at, if they are not of ASCII.
bool is_all_seen(Text text)
{
    const auto *at = reinterpret_cast<const unsigned char *>(text.data());
    const auto *const end = at + text.size();
    while (at < end) {
        const bool is_character = *at < 0x80 || GetDatabaseEncoding() == PG_UTF8;
        if (is_character && !is_seen(utf8_to_unicode(at)))
            return false;
        at += is_character ? pg_utf_mblen(at) : 1;
    }
    return true;
}

// Each address is one user's: another one who is to have it is refused.
void require_free_email(Session &session, Text user_email, Text user_id)
{
    lock_user_names(session, Texts{&user_email, 1});
    const auto holder = user_of_email(session, user_email);
    if (holder && *holder != user_id)
        exists_already("User with email %.*s already exists", FMT_ARG(user_email));
}

Role checked_role(Maybe<Text> value, const char *name = "user_role")
{
    const auto role = parse_role(value.value_or("internal_user"));
    if (!role)
        invalid(name, "must be one of proxy_admin, proxy_admin_viewer, internal_user, internal_user_viewer");
    return *role;
}

} // namespace

namespace pg_org {

void write_users(Session &session, Texts user_ids, Maybe<Texts> organization_ids)
{
    for (const Row row : session.run(show_users, user_ids, organization_ids))
        session.reply.object(row);
}

void warm_up_users(Session &session, Text nobody)
{
    const Maybe<Text> none;
    session.run(show_user, nobody, Maybe<Texts>{});
    write_keys_of_user(session, nobody, {});
    write_teams_of_user(session, nobody, {});
    session.run(list_users, Maybe<Texts>{}, none, none, none, Maybe<Text>{nobody}, none, none, Maybe<Time>{}, none,
                Maybe<int64>{1}, none);
}

Maybe<Text> email_address(Maybe<Text> value, const char *name)
{
    if (!value)
        return {};
    constexpr Text blanks = " \t\n\v\f\r";
    Text email = *value;
    while (!email.empty() && blanks.find(email.front()) != Text::npos)
        email.remove_prefix(1);
    while (!email.empty() && blanks.find(email.back()) != Text::npos)
        email.remove_suffix(1);
    identifier(email, name);
    const size_t at = email.find('@');
    if (at == 0 || at == Text::npos || at + 1 == email.size() || email.find('@', at + 1) != Text::npos ||
        !is_all_seen(email))
        invalid(name, "must be an e-mail address: one @ with something on both sides of it, and neither white space "
                      "nor control characters");
    return email;
}

Maybe<Text> user_of_email(Session &session, Text user_email)
{
    const Rows users = session.run(find_by_email, user_email);
    return users.empty() ? Maybe<Text>{} : users[0].get<Text>(0);
}

void lock_user_names(Session &session, Texts names)
{
    session.run(lock_names, names);
    session.run(lock_named_users, names);
    session.look_up_caller_again();
}

void lock_user(Session &session, Text user_id)
{
    if (session.run(lock_one, user_id).empty())
        no_such_reference("User not found for user_id=%.*s", FMT_ARG(user_id));
}

} // namespace pg_org

PG_ORG_WRITE(user_new)
{
    const Text user_id = session.argument("user_id", identifier_or_new);
    const auto user_email = session.argument("user_email", email_address);
    const auto user_alias = session.argument<Text>("user_alias");
    const Role role = checked_role(session.argument<Text>("user_role"));
    const auto models = session.argument("models", model_list);
    const OwnLimits limits = read_own_limits(session, LimitsOf::user);
    const auto sso_user_id = session.argument<Text>("sso_user_id");
    if (sso_user_id)
        identifier(sso_user_id, "sso_user_id");
    const auto metadata = session.argument("metadata", object);
    const bool with_key = session.argument<bool>("auto_create_key").value_or(true);
    NewKey key{.secret = {}, .user_id = user_id};
    key.key_alias = session.argument<Text>("key_alias");
    key.expires = session.argument("duration", from_now);
    const auto quotas = session.argument("quotas", quotas_of_user);

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin())
        forbidden("Only proxy admins can create users. Your role is = %s", role_name(caller.role));
    if (user_email)
        require_free_email(session, *user_email, user_id);
    if (session
            .run(insert_user, user_id, user_email, user_alias, to_text(role_name(role)), models, limits.max_budget,
                 limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                 limits.budget_reset_at, sso_user_id, metadata, caller.user_id, session.made_at(), quotas)
            .empty())
        exists_already("User already exists for user_id=%.*s or sso_user_id", FMT_ARG(user_id));

    session.reply.begin_object();
    if (with_key)
        write_new_key_summary(session, create_key(session, key));
    else
        session.reply.key("key").null().key("key_name").null().key("token_id").null().key("expires").null();
    const Row row = session.run(show_user, user_id, Maybe<Texts>{})[0];
    session.reply.columns(row, 0, row.columns()).end_object();
}

namespace {

// Locks the users who are to be deleted or demoted and returns those that exist. With them all proxy admins, for there
// must be one left to let others in again.
Texts lock_besides_a_proxy_admin(Session &session, Texts user_ids)
{
    const auto goes = [&](Text user_id) { return std::ranges::find(user_ids, user_id) != user_ids.end(); };
    const Rows rows = session.run(lock_with_proxy_admins, user_ids);
    session.look_up_caller_again();
    const auto going = allocate<Text>(rows.size());
    size_t count = 0, admins_going = 0, admins_staying = 0;
    for (const Row row : rows) {
        const Text user_id = *row.get<Text>(0);
        if (*row.get<bool>(1))
            ++(goes(user_id) ? admins_going : admins_staying);
        if (goes(user_id))
            going[count++] = user_id;
    }
    if (admins_going > 0 && admins_staying == 0)
        refused("The last proxy_admin cannot be deleted or demoted");
    return going.first(count);
}

} // namespace

PG_ORG_WRITE(user_update)
{
    const Text user_id = session.required<Text>("user_id");
    const auto user_email = session.argument("user_email", email_address);
    const auto user_alias = session.argument<Text>("user_alias");
    const auto user_role = session.argument<Text>("user_role");
    if (user_role)
        checked_role(user_role);
    const auto models = session.argument("models", model_list);
    const OwnLimits limits = read_own_limits(session, LimitsOf::user);
    const auto metadata = session.argument("metadata", object);
    const auto quotas = session.argument("quotas", quotas_of_user);
    static constexpr std::array<Text, 7> clearable{"user_email", "user_alias",      "max_budget", "tpm_limit",
                                                   "rpm_limit",  "budget_duration", "quotas"};
    const Texts clear = fields_to_clear(session.argument<Texts>("clear"), clearable);

    const Caller &caller = session.caller;
    if (!caller.is_proxy_admin()) {
        // A key that is confined to an organization is perhaps not in its user's own hands.
        const bool own =
            caller.user_id == user_id && !caller.organization_id && caller.role != Role::proxy_admin_viewer;
        const bool clears_others = std::ranges::any_of(clear, [](Text field) { return field != "user_alias"; });
        if (!own || user_email || user_role || models || limits.any() || metadata || quotas || clears_others)
            forbidden("Only proxy admins can change users, beyond one's own user_alias. Your role is = %s",
                      role_name(caller.role));
    }
    if (user_email)
        require_free_email(session, *user_email, user_id);
    if (user_role && *user_role != "proxy_admin")
        lock_besides_a_proxy_admin(session, {&user_id, 1});
    if (session.run(lock_to_change, user_id).empty())
        not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    session.look_up_caller_again();
    session.run(update_user, user_id, user_email, user_alias, user_role, models, limits.max_budget,
                limits.model_max_budget, limits.tpm_limit, limits.rpm_limit, limits.budget_duration,
                limits.budget_reset_at, metadata, clear, caller.user_id, quotas);
    write_users(session, {&user_id, 1}, {});
}

PG_ORG_WRITE(user_delete)
{
    const Texts asked = each_once(session.required("user_ids", text_list));
    if (!session.caller.is_proxy_admin())
        forbidden("Only proxy admins can delete users. Your role is = %s", role_name(session.caller.role));

    lock_organizations(session, session.run(find_organizations_of_users, asked).texts());
    const Texts locked = lock_besides_a_proxy_admin(session, asked);
    // Only now nobody can make them a member, or a key of theirs, any more.
    require_organizations_locked(session, session.run(find_organizations_of_users, locked).texts());
    const Texts budgets = lock_budgets(session, session.run(find_budgets_of_users, asked).texts());
    for (const Text user_id : asked)
        if (!std::ranges::binary_search(locked, user_id))
            not_found("User not found for user_id=%.*s", FMT_ARG(user_id));
    session.reply.begin_array();
    write_users(session, locked, {});
    session.reply.end_array();
    session.run(delete_users, locked);
    delete_unowned_budgets(session, budgets);
}

PG_ORG_READ(user_list)
{
    const auto role = session.argument<Text>("role");
    if (role)
        checked_role(role, "role");
    const auto user_email = session.argument("user_email", part_of_name);
    const auto user_id = session.argument<Text>("user_id");
    const auto organization_id = session.argument<Text>("organization_id");
    const auto team_id = session.argument<Text>("team_id");
    const auto limit = session.argument("limit", page_limit);
    const auto after = session.argument<Text>("after");

    const Caller &caller = session.caller;
    const auto through = caller.reads_everything() ? Maybe<Texts>{} : administered_organizations(session);
    Maybe<Time> after_created;
    if (after)
        after_created = page_start(session.run(find_page_start, through, caller.user_id, *after), "user_id");
    session.reply.begin_array();
    for (const Row row : session.run(list_users, through, caller.user_id, role, user_email, user_id, organization_id,
                                     team_id, after_created, after, limit, caller.organization_id))
        session.reply.object(row);
    session.reply.end_array();
}

PG_ORG_READ(user_info)
{
    const auto asked = session.argument<Text>("user_id");
    const Text user_id = required(asked ? asked : session.caller.user_id, "user_id");
    const auto organizations = seen_through(session, user_id);
    const Rows users = session.run(show_user, user_id, organizations);
    if (users.empty() || (organizations && organizations->empty() && session.caller.user_id != user_id))
        not_found("User not found for user_id=%.*s", FMT_ARG(user_id));

    Writer &reply = session.reply;
    reply.begin_object().key("user_id").value(user_id).key("user_info").object(users[0]);
    reply.key("keys").begin_array();
    write_keys_of_user(session, user_id, organizations);
    reply.end_array().key("teams").begin_array();
    write_teams_of_user(session, user_id, organizations);
    reply.end_array().end_object();
}
