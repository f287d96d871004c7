// Making users of people, and members of users.

#include "people.hpp"

#include "base/fail.hpp"
#include "lock.hpp"

namespace pg_org {

namespace {

constinit Statement find_by_id{R"(SELECT user_email IS NULL FROM org."user" WHERE user_id = $1 FOR KEY SHARE)"};

constinit Statement set_email{
    R"(UPDATE org."user" SET user_email = $2, updated_at = now(), updated_by = $3 WHERE user_id = $1)"};

constinit Statement insert_person{R"(
    INSERT INTO org."user" (user_id, user_email, user_role, created_by, updated_by, created_at, updated_at)
    VALUES ($1, $2, 'internal_user', $3, $3, $4, $4)
        ON CONFLICT DO NOTHING
    RETURNING user_id)"};

constinit Statement upsert_membership_statement{R"(
    INSERT INTO org.membership AS m (organization_id, user_id, user_role, created_by, updated_by, created_at,
                                     updated_at)
    VALUES ($1, $2, $3, $4, $4, $5, $5)
        ON CONFLICT (organization_id, user_id) DO UPDATE
       SET user_role = excluded.user_role, updated_at = now(), updated_by = excluded.updated_by
    RETURNING m.budget_id)"};

// Requires that the address is the user's, or gives it to a user without one; it never changes an address.
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

// The id of the user whom the request means, none if there is no such user.
Maybe<Text> find_person(Session &session, const Person &person)
{
    if (!person.user_id)
        return user_of_email(session, *person.user_email);
    const Rows users = session.run(find_by_id, *person.user_id);
    if (!users.empty()) {
        if (person.user_email)
            require_email_of(session, *person.user_id, *users[0].get<bool>(0), *person.user_email);
        return person.user_id;
    }
    if (person.user_email && user_of_email(session, *person.user_email))
        refused("User with user_email=%.*s has another id than user_id=%.*s", FMT_ARG(*person.user_email),
                FMT_ARG(*person.user_id));
    return {};
}

} // namespace

Person read_new_person(const Value &value)
{
    Person person = read_person(value);
    if (person.user_id)
        identifier(person.user_id, psprintf("%s.user_id", value.path()));
    person.user_email = email_address(person.user_email, psprintf("%s.user_email", value.path()));
    return person;
}

void lock_people(Session &session, std::span<const Person> people)
{
    const auto names = allocate<Text>(2 * people.size());
    size_t count = 0;
    for (const Person &person : people) {
        if (person.user_id)
            names[count++] = *person.user_id;
        if (person.user_email)
            names[count++] = *person.user_email;
    }
    lock_user_names(session, names.first(count));
}

Text find_or_make_user(Session &session, const Person &person)
{
    const Text new_id = identifier_or_new(person.user_id, "user_id");
    // Plain SQL may have made the user since; the loop has an end because a trigger may suppress each insert.
    constexpr int max_attempts = 10;
    for (int i = 0; i < max_attempts; i++) {
        if (const auto known = find_person(session, person))
            return *known;
        if (!session.run(insert_person, new_id, person.user_email, session.caller.user_id, session.made_at()).empty())
            return new_id;
    }
    busy();
}

bool make_user(Session &session, Text user_id)
{
    return !session.run(insert_person, user_id, Maybe<Text>{}, session.caller.user_id, session.made_at()).empty();
}

Maybe<Text> upsert_membership(Session &session, Text organization_id, Text user_id, Text role)
{
    const Rows rows = session.run(upsert_membership_statement, organization_id, user_id, role, session.caller.user_id,
                                  session.made_at());
    return rows[0].get<Text>(0);
}

} // namespace pg_org
