// Quotas: how many teams, members and keys there may be, so that nobody fills tables and lists that others wait for.
#pragma once

#include "team.hpp"

namespace pg_org {

// The value as an organization's quotas, or an error naming the field.
Maybe<Json> quotas(Maybe<Json> value, const char *name);
// Likewise as a user's, which are about keys outside organizations.
Maybe<Json> quotas_of_user(Maybe<Json> value, const char *name);

// Each of these is called before as many are made, with the organization locked, and refuses them if that is more than
// there may be.
void require_room_for_team(Session &session, Text organization_id);
void require_room_for_members(Session &session, Text organization_id, Texts user_ids);
void require_room_for_key(Session &session, const Maybe<Text> &organization_id, const Maybe<Text> &team_id,
                          const Maybe<Text> &user_id);

} // namespace pg_org
