// Memberships: who belongs to an organization, as what, with which budget.

#include "membership.hpp"

#include "base/fail.hpp"
#include "budget.hpp"
#include "lock.hpp"
#include "people.hpp"
#include "person.hpp"
#include "quota.hpp"
#include "show.hpp"

using namespace pg_org;

namespace {

constexpr std::array<Text, 3> roles{"org_admin", "internal_user", "internal_user_viewer"};

constinit Statement find_budgets{R"(
    SELECT budget_id
      FROM org.membership
     WHERE organization_id = $1
       AND user_id = ANY ($2)
       AND budget_id IS NOT NULL)"};

constinit Statement update_membership{R"(
    UPDATE org.membership
       SET user_role = coalesce($3, user_role), budget_id = $4, updated_at = greatest(now(), created_at),
           updated_by = $5
     WHERE organization_id = $1
       AND user_id = $2)"};

constinit Statement find_membership{R"(
    SELECT user_role, budget_id
      FROM org.membership
     WHERE organization_id = $1
       AND user_id = $2
       FOR KEY SHARE)"};

constinit Statement find_other_admin{R"(
    SELECT
      FROM org.membership
     WHERE organization_id = $1
       AND user_role = 'org_admin'
       AND user_id <> $2
     LIMIT 1)"};

// Keys of no user outlive the membership of their maker, who may have kept the secrets.
constinit Statement find_keys_of_no_user{R"(
    SELECT key_id
      FROM org.api_key
     WHERE organization_id = $1
       AND user_id IS NULL
       AND created_by = $2
     ORDER BY created_at, key_id)"};

constinit Statement find_budgets_in_organization{R"(
    SELECT budget_id
      FROM org.membership
     WHERE organization_id = $1
       AND user_id = $2
       AND budget_id IS NOT NULL
     UNION
    SELECT budget_id
      FROM org.team_member
     WHERE organization_id = $1
       AND user_id = $2
       AND budget_id IS NOT NULL
     UNION
    SELECT budget_id
      FROM org.api_key
     WHERE organization_id = $1
       AND user_id = $2
       AND budget_id IS NOT NULL)"};

constinit Statement delete_keys{"DELETE FROM org.api_key WHERE organization_id = $1 AND user_id = $2"};

constinit Statement delete_membership{"DELETE FROM org.membership WHERE organization_id = $1 AND user_id = $2"};

// A member to be added, as the request names them.
struct NewMember {
    Text role;
    Person person;
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
    const Text role_name = checked_role(role.as_text(), role.path());
    return {role_name, read_new_person(value)};
}

// The organization's last admin cannot demote or remove themself.
void require_another_admin(Session &session, Text organization_id, Text member)
{
    const Caller &caller = session.caller;
    if (caller.is_proxy_admin() || caller.user_id != member)
        return;
    const Rows found = session.run(find_membership, organization_id, member);
    if (!found.empty() && found[0].get<Text>(0) == "org_admin" &&
        session.run(find_other_admin, organization_id, member).empty())
        refused("The last org_admin of Organization=%.*s cannot demote or remove themself. "
                "Make somebody else org_admin first",
                FMT_ARG(organization_id));
}

// Whether the caller means themself. A key that somebody else made for the user does not speak for them.
bool is_themself(Session &session, const Person &person)
{
    const Caller &caller = session.caller;
    if (!caller.user_id || caller.delegated)
        return false;
    return (person.user_id ? person.user_id : user_of_email(session, *person.user_email)) == caller.user_id;
}

void put_member(Session &session, Text organization_id, Text user_id, Text role, const BudgetChange &budget)
{
    if (role != "org_admin")
        require_another_admin(session, organization_id, user_id);
    const auto own_budget = upsert_membership(session, organization_id, user_id, role);
    if (budget.empty())
        return;
    const auto budget_id = change_budget(session, own_budget, budget);
    session.run(update_membership, organization_id, user_id, Maybe<Text>{}, budget_id, session.caller.user_id);
}

} // namespace

namespace pg_org {

void add_member(Session &session, Text organization_id, Text user_id)
{
    if (!session.run(find_membership, organization_id, user_id).empty())
        return;
    session.audit_as(organization_id);
    require_room_for_members(session, organization_id, {&user_id, 1});
    put_member(session, organization_id, user_id, "internal_user", {});
}

} // namespace pg_org

PG_ORG_WRITE(org_member_add)
{
    const Text organization_id = session.required<Text>("organization_id");
    const auto members = read_one_or_list(required(session.json("member"), "member"), read_member);
    const BudgetChange budget = read_member_budget(session, "max_budget_in_organization");

    lock_organization_as_admin(session, organization_id, "/organization/member_add");
    lock_people(session, people_of(members));
    const auto user_ids = allocate<Text>(members.size());
    std::ranges::transform(members, user_ids.begin(),
                           [&](const NewMember &member) { return find_or_make_user(session, member.person); });
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
    const Person person = read_person(session);
    const auto role = session.argument<Text>("role");
    if (role)
        checked_role(*role, "role");
    const BudgetChange budget = read_member_budget_change(session, "max_budget_in_organization");

    lock_organization_as_admin(session, organization_id, "/organization/member_update");
    const Text member = find_member(session, organization_id, person);
    if (role && role != "org_admin")
        require_another_admin(session, organization_id, member);
    const auto budget_id = session.run(find_membership, organization_id, member)[0].get<Text>(1);
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
    const Person person = read_person(session);

    if (is_themself(session, person)) {
        require_reader(session, organization_id);
        lock_organization(session, organization_id);
    } else {
        lock_organization_as_admin(session, organization_id, "/organization/member_delete");
    }
    const Text member = find_member(session, organization_id, person);
    require_another_admin(session, organization_id, member);

    Writer &reply = session.reply;
    reply.begin_object();
    write_membership_fields(session, organization_id, member);
    reply.key("token_ids_to_rotate").begin_array();
    for (const Text token_id : session.run(find_keys_of_no_user, organization_id, member).texts())
        reply.value(token_id);
    reply.end_array().end_object();

    const Texts budgets =
        lock_budgets(session, session.run(find_budgets_in_organization, organization_id, member).texts());
    session.run(delete_keys, organization_id, member);
    session.run(delete_membership, organization_id, member);
    delete_unowned_budgets(session, budgets);
}
