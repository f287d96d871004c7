// Memberships, as the other rooms need them.
#pragma once

#include "budget.hpp"

namespace pg_org {

// A membership in wire order, followed by its budget's columns.
#define MEMBERSHIP_COLUMNS                                                                                             \
    "m.user_id, m.organization_id, m.user_role, m.spend, m.budget_id, m.created_at, m.updated_at, u.user_email, "      \
    "NULL::text AS \"user\", " BUDGET_COLUMNS
#define MEMBERSHIP_TABLES                                                                                              \
    "org.membership m JOIN org.\"user\" u USING (user_id) LEFT JOIN org.budget b ON b.budget_id = m.budget_id"
inline constexpr int membership_organization_column = 1;

// The order in which memberships are shown.
inline auto membership_key(const Row &row)
{
    constexpr int user_id = 0, created_at = 5;
    return std::tuple{*row.get<Text>(membership_organization_column), row.get<Time>(created_at)->value,
                      *row.get<Text>(user_id)};
}

void write_membership(Writer &reply, const Row &row);

// Refuses a request that names nobody; the name is for the error.
void require_id_or_email(const char *name, const Maybe<Text> &user_id, const Maybe<Text> &user_email);

// The user that an object of user_id or user_email names among an organization's members, or an error.
Text find_member(Session &session, Text organization_id, Maybe<Text> user_id, Maybe<Text> user_email);

} // namespace pg_org
