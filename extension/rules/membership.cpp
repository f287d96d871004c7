// Memberships: who belongs to an organization, as what, with which budget.

#include "membership.hpp"

#include "base/fail.hpp"
#include "organization.hpp"
#include "quota.hpp"
#include "user.hpp"

using namespace pg_org;

namespace {

constexpr int membership_columns = 9;
constexpr int budget_id_column = 4;
constexpr std::array<Text, 3> roles{"org_admin", "internal_user", "internal_user_viewer"};

constinit Statement find_by_id{"SELECT user_email IS NULL FROM org.\"user\" WHERE user_id = $1 FOR KEY SHARE"};

constinit Statement set_email{
    "UPDATE org.\"user\" SET user_email = $2, updated_at = now(), updated_by = $3 WHERE user_id = $1"};

constinit Statement insert_user{
    "INSERT INTO org.\"user\" (user_id, user_email, user_role, created_by, updated_by, created_at, updated_at)"
    " VALUES ($1, $2, 'internal_user', $3, $3, $4, $4) ON CONFLICT DO NOTHING RETURNING user_id"};

constinit Statement find_budgets{
    "SELECT budget_id FROM org.membership"
    " WHERE organization_id = $1 AND user_id = ANY ($2) AND budget_id IS NOT NULL"};

constinit Statement upsert_membership{
    "INSERT INTO org.membership AS m (organization_id, user_id, user_role, created_by, updated_by, created_at,"
    "                                 updated_at)"
    " VALUES ($1, $2, $3, $4, $4, $5, $5)"
    " ON CONFLICT (organization_id, user_id) DO UPDATE"
    "   SET user_role = excluded.user_role, updated_at = now(), updated_by = excluded.updated_by"
    " RETURNING m.budget_id"};

constinit Statement update_membership{
    "UPDATE org.membership"
    "   SET user_role = coalesce($3, user_role), budget_id = $4, updated_at = greatest(now(), created_at),"
    "       updated_by = $5"
    " WHERE organization_id = $1 AND user_id = $2"};

constinit Statement show_memberships{
    "SELECT " MEMBERSHIP_COLUMNS
    "  FROM " MEMBERSHIP_TABLES
    "  JOIN unnest($2) WITH ORDINALITY AS asked (id, place) ON asked.id = m.user_id"
    " WHERE m.organization_id = $1 ORDER BY asked.place"};

constinit Statement find_member_by_id{
    "SELECT user_id, user_role, budget_id FROM org.membership WHERE organization_id = $1 AND user_id = $2"
    "   FOR KEY SHARE"};

constinit Statement find_member_by_email{
    "SELECT m.user_id FROM org.membership m JOIN org.\"user\" u USING (user_id)"
    " WHERE m.organization_id = $1 AND " IS_EMAIL("u.user_email", "$2") " FOR KEY SHARE OF m"};

constinit Statement find_other_admin{
    "SELECT FROM org.membership WHERE organization_id = $1 AND user_role = 'org_admin' AND user_id <> $2 LIMIT 1"};

// Of nobody in particular, so that they stay when their maker leaves, who may have kept the secrets.
constinit Statement find_keys_made_for_nobody{
    "SELECT key_id FROM org.api_key WHERE organization_id = $1 AND user_id IS NULL AND created_by = $2"
    " ORDER BY created_at, key_id"};

constinit Statement find_budgets_in_organization{
    "SELECT budget_id FROM org.membership WHERE organization_id = $1 AND user_id = $2 AND budget_id IS NOT NULL UNION "
    "SELECT budget_id FROM org.team_member WHERE organization_id = $1 AND user_id = $2 AND budget_id IS NOT NULL"};

constinit Statement delete_keys{"DELETE FROM org.api_key WHERE organization_id = $1 AND user_id = $2"};

constinit Statement delete_membership{"DELETE FROM org.membership WHERE organization_id = $1 AND user_id = $2"};

// A member as a request names them.
struct NewMember {
    Text role;
    Maybe<Text> user_id, user_email;
};

Text checked_role(Text role, const char *name)
{
    if (std::ranges::find(roles, role) == roles.end())
        invalid(name, "must be one of org_admin, internal_user, internal_user_viewer");
    return role;
}

NewMember read_member(const Value &value)
{
    if (!value.is_object())
        invalid(value.path(), "must be an object of role and user_id or user_email");
    const Value role = value.member("role");
    if (role.is_null())
        missing(role.path());
    NewMember member{
        .role = checked_role(role.as_text(), role.path()),
        .user_id = optional_text(value.member("user_id")),
        .user_email = optional_text(value.member("user_email")),
    };
    require_id_or_email(value.path(), member.user_id, member.user_email);
    if (member.user_id)
        identifier(member.user_id, psprintf("%s.user_id", value.path()));
    member.user_email = email_address(member.user_email, psprintf("%s.user_email", value.path()));
    return member;
}

// One member or a list of them.
std::span<const NewMember> read_members(const Value &value)
{
    if (value.is_object()) {
        const auto one = allocate<NewMember>(1);
        one[0] = read_member(value);
        return one;
    }
    const auto values = bounded_elements(value);
    const auto list = allocate<NewMember>(values.size());
    std::ranges::transform(values, list.begin(), read_member);
    return list;
}

// Whatever the order of their lists, two requests at once don't wait for each other.
void lock_users_to_be(Session &session, std::span<const NewMember> members)
{
    const auto names = allocate<Text>(2 * members.size());
    size_t count = 0;
    for (const NewMember &member : members) {
        if (member.user_id)
            names[count++] = *member.user_id;
        if (member.user_email)
            names[count++] = *member.user_email;
    }
    lock_user_names(session, names.first(count));
}

// The address is to be that of the user, whom it never makes another one.
void require_email_of(Session &session, Text user_id, bool has_none, Text user_email)
{
    const auto holder = user_of_email(session, user_email);
    if (holder == user_id)
        return;
    if (holder || !has_none)
        refused("User with user_id=%.*s has another email than user_email=%.*s", FMT_ARG(user_id), FMT_ARG(user_email));
    if (!session.caller.is_proxy_admin())
        refused("User with user_id=%.*s has no email, and only proxy admins can give them user_email=%.*s",
                FMT_ARG(user_id), FMT_ARG(user_email));
    session.run(set_email, user_id, user_email, session.caller.user_id);
}

// The user whom the request means, none if nobody is.
Maybe<Text> find_user(Session &session, const NewMember &member)
{
    if (!member.user_id)
        return user_of_email(session, *member.user_email);
    const Rows users = session.run(find_by_id, *member.user_id);
    if (!users.empty()) {
        if (member.user_email)
            require_email_of(session, *member.user_id, *users[0].get<bool>(0), *member.user_email);
        return member.user_id;
    }
    if (member.user_email && user_of_email(session, *member.user_email))
        refused("User with user_email=%.*s has another id than user_id=%.*s", FMT_ARG(*member.user_email),
                FMT_ARG(*member.user_id));
    return {};
}

// The same, made if nobody is.
Text find_or_make_user(Session &session, const NewMember &member)
{
    const Text new_id = identifier_or_new(member.user_id, "user_id");
    // Somebody may just have made that user by plain SQL, and a trigger of the tables' owner may let none be made.
    constexpr int max_attempts = 10;
    for (int i = 0; i < max_attempts; i++) {
        if (const auto known = find_user(session, member))
            return *known;
        if (!session.run(insert_user, new_id, member.user_email, session.caller.user_id, session.made_at()).empty())
            return new_id;
    }
    busy();
}

// Nobody takes the organization's last admin away from it by their own doing.
void require_another_admin(Session &session, Text organization_id, Text member)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin() || caller.user_id != member)
        return;
    const Rows found = session.run(find_member_by_id, organization_id, member);
    if (!found.empty() && found[0].get<Text>(1) == "org_admin" &&
        session.run(find_other_admin, organization_id, member).empty())
        refused("The last org_admin of Organization=%.*s cannot demote or remove themself. "
                "Make somebody else org_admin first",
                FMT_ARG(organization_id));
}

// Whether the caller means themself; who holds a key that was made for somebody does not speak for them.
bool is_themself(Session &session, const Maybe<Text> &user_id, const Maybe<Text> &user_email)
{
    const Caller &caller = session.caller;
    if (!caller.user_id || caller.delegated)
        return false;
    return (user_id ? user_id : user_of_email(session, *user_email)) == caller.user_id;
}

void put_member(Session &session, Text organization_id, Text user_id, Text role, const BudgetChange &budget)
{
    if (role != "org_admin")
        require_another_admin(session, organization_id, user_id);
    const Rows rows = session.run(upsert_membership, organization_id, user_id, role, session.caller.user_id,
                                  session.made_at());
    if (budget.empty())
        return;
    const auto budget_id = change_budget(session, rows[0].get<Text>(0), budget);
    session.run(update_membership, organization_id, user_id, Maybe<Text>{}, budget_id, session.caller.user_id);
}

void write_membership_fields(Writer &reply, const Row &row)
{
    reply.columns(row, 0, membership_columns).key("litellm_budget_table");
    if (row.get<Text>(budget_id_column))
        reply.begin_object().columns(row, membership_columns, membership_columns + budget_columns).end_object();
    else
        reply.null();
}

void write_memberships(Session &session, Text organization_id, Texts user_ids)
{
    for (const Row row : session.run(show_memberships, organization_id, user_ids))
        write_membership(session.reply, row);
}

BudgetChange read_member_budget(Session &session)
{
    BudgetChange budget;
    if (const auto amount = session.argument("max_budget_in_organization", money))
        budget.max_budget = amount;
    return budget;
}

[[noreturn]] void no_such_member(const char *field, Text value)
{
    not_found("Member not found in organization for %s=%.*s", field, FMT_ARG(value));
}

} // namespace

namespace pg_org {

void write_membership(Writer &reply, const Row &row)
{
    write_membership_fields(reply.begin_object(), row);
    reply.end_object();
}

void require_id_or_email(const char *name, const Maybe<Text> &user_id, const Maybe<Text> &user_email)
{
    if (!user_id && !user_email)
        invalid(name, "is not valid: Value error, Either user id or user email must be provided");
}

Text find_member(Session &session, Text organization_id, Maybe<Text> user_id, Maybe<Text> user_email)
{
    if (user_id) {
        if (session.run(find_member_by_id, organization_id, *user_id).empty())
            no_such_member("user_id", *user_id);
        return *user_id;
    }
    const Rows members = session.run(find_member_by_email, organization_id, *user_email);
    if (members.empty())
        no_such_member("user_email", *user_email);
    return *members[0].get<Text>(0);
}

} // namespace pg_org

PG_ORG_WRITE(org_member_add)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto members = read_members(required(session.json("member"), "member"));
    const BudgetChange budget = read_member_budget(session);

    lock_organization_as_admin(session, organization_id, "/organization/member_add");
    lock_users_to_be(session, members);
    const auto user_ids = allocate<Text>(members.size());
    std::ranges::transform(members, user_ids.begin(),
                           [&](const NewMember &member) { return find_or_make_user(session, member); });
    const Texts each = each_once(user_ids);
    require_room_for_members(session, organization_id, each);
    if (!budget.empty())
        lock_budgets(session, session.run(find_budgets, organization_id, Texts{user_ids}).texts());
    for (size_t i = 0; i < members.size(); i++)
        put_member(session, organization_id, user_ids[i], members[i].role, budget);

    Writer &reply = session.reply;
    reply.begin_object().key("organization_id").value(organization_id);
    reply.key("updated_users").begin_array();
    write_users(session, each, seen_inside(session, organization_id));
    reply.end_array().key("updated_organization_memberships").begin_array();
    write_memberships(session, organization_id, each);
    reply.end_array().end_object();
}

PG_ORG_WRITE(org_member_update)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto user_id = session.argument("user_id", not_empty);
    const auto user_email = session.argument("user_email", not_empty);
    require_id_or_email("user_id", user_id, user_email);
    const auto role = session.argument<Text>("role");
    if (role)
        checked_role(*role, "role");
    BudgetChange budget = read_member_budget(session);
    static constexpr std::array<Text, 1> clearable{"max_budget_in_organization"};
    if (!fields_to_clear(session.argument<Texts>("clear"), clearable).empty())
        budget.max_budget.emplace();

    lock_organization_as_admin(session, organization_id, "/organization/member_update");
    const Text member = find_member(session, organization_id, user_id, user_email);
    if (role && role != "org_admin")
        require_another_admin(session, organization_id, member);
    const auto budget_id = session.run(find_member_by_id, organization_id, member)[0].get<Text>(2);
    if (budget_id && !budget.empty())
        lock_budgets(session, {&*budget_id, 1});
    const auto budget_then = change_budget(session, budget_id, budget);
    if (role || (!budget.empty() && budget_then))
        session.run(update_membership, organization_id, member, role, budget_then, session.caller.user_id);
    write_memberships(session, organization_id, {&member, 1});
}

PG_ORG_WRITE(org_member_delete)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto user_id = session.argument("user_id", not_empty);
    const auto user_email = session.argument("user_email", not_empty);
    require_id_or_email("user_id", user_id, user_email);

    if (is_themself(session, user_id, user_email)) {
        require_reader(session, organization_id);
        lock_organization(session, organization_id);
    } else {
        lock_organization_as_admin(session, organization_id, "/organization/member_delete");
    }
    const Text member = find_member(session, organization_id, user_id, user_email);
    require_another_admin(session, organization_id, member);

    Writer &reply = session.reply;
    const Rows membership = session.run(show_memberships, organization_id, Texts{&member, 1});
    write_membership_fields(reply.begin_object(), membership[0]);
    reply.key("token_ids_to_rotate").begin_array();
    for (const Text token_id : session.run(find_keys_made_for_nobody, organization_id, member).texts())
        reply.value(token_id);
    reply.end_array().end_object();

    const Texts budgets = lock_budgets(
        session, session.run(find_budgets_in_organization, organization_id, member).texts());
    session.run(delete_keys, organization_id, member);
    session.run(delete_membership, organization_id, member);
    delete_unowned_budgets(session, budgets);
}
