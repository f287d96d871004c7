// Adding people, who become users if they are unknown.
#pragma once

#include "person.hpp"

namespace pg_org {

// A person in a request, who may become a user: their identifier and e-mail address must be valid.
Person read_new_person(const Value &value);

// The people of a list whose elements have a member `person`.
template <typename List> std::span<const Person> people_of(const List &members)
{
    const auto people = allocate<Person>(std::size(members));
    std::ranges::transform(members, people.begin(), [](const auto &member) { return member.person; });
    return people;
}

// Locks the names of all at once, so that two requests do not deadlock, whatever the order of their lists.
void lock_people(Session &session, std::span<const Person> people);

// The id of the user whom the person means; an unknown person becomes a user. Their names must be locked.
Text find_or_make_user(Session &session, const Person &person);

// Makes a user who has nothing but this identifier. False if there is one already, perhaps made at the same time.
bool make_user(Session &session, Text user_id);

// Makes the user a member of the organization, or changes their role. Returns the budget that they have there.
Maybe<Text> upsert_membership(Session &session, Text organization_id, Text user_id, Text role);

} // namespace pg_org
