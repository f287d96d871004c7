// People as requests name them: by user_id or by e-mail address.
#pragma once

#include "base/bounds.hpp"
#include "base/session.hpp"

namespace pg_org {

// At least one of the two is there.
struct Person {
    Maybe<Text> user_id, user_email;
};
// The arguments user_id and user_email of a call, or an error if neither is given.
Person read_person(const Session &session);
// The same members of a JSON object.
Person read_person(const Value &value);

// The results of read() for each element of a list.
template <typename Read> auto read_list(const Value &list, Read read)
{
    const auto values = bounded_elements(list);
    const auto people = allocate<std::invoke_result_t<Read, const Value &>>(values.size());
    std::ranges::transform(values, people.begin(), read);
    return people;
}
// The same for a list or a single object.
template <typename Read> auto read_one_or_list(const Value &value, Read read)
{
    if (!value.is_object())
        return read_list(value, read);
    const auto people = allocate<std::invoke_result_t<Read, const Value &>>(1);
    people[0] = read(value);
    return people;
}

// An e-mail address without white space around it, or an error that names the argument.
Maybe<Text> email_address(Maybe<Text> value, const char *name);

// The user who has the address, none if nobody has it.
Maybe<Text> user_of_email(Session &session, Text user_email);

// The person's user_id, if they are a member of the organization.
Maybe<Text> known_member(Session &session, Text organization_id, const Person &person);
// The same, or an error.
Text find_member(Session &session, Text organization_id, const Person &person);
void require_member(Session &session, Text organization_id, Text user_id);

} // namespace pg_org
