// Quotas: how many teams, members, keys and end users there may be, so that no tenant fills tables and lists that
// others use.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// The quotas of an organization, or an error naming the field.
Maybe<Json> quotas(Maybe<Json> value, const char *name);
// The quotas of a user, which concern keys outside organizations.
Maybe<Json> quotas_of_user(Maybe<Json> value, const char *name);

// After members were added to a team: refuses more than any team may have.
void require_room_in_team(Session &session, Text organization_id, Text team_id);

// Each of these is called before something is made, with the organization locked (or the team, if it belongs to the
// platform), and refuses it if the quota is used up.
void require_room_for_team(Session &session, Text organization_id);
void require_room_for_members(Session &session, Text organization_id, Texts user_ids);
void require_room_for_end_users(Session &session, Text organization_id, int64 more);
void require_room_for_keys(Session &session, Text organization_id, int64 more);
void require_room_for_key(Session &session, const Maybe<Text> &organization_id, const Maybe<Text> &team_id,
                          const Maybe<Text> &user_id);
void require_room_for_key_in_team(Session &session, Text organization_id, Text team_id);

} // namespace pg_org
