// Nothing owned may exceed its owner: teams stay within their organization, keys within their team and organization.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// Refuses to grant models that the caller's own key does not allow.
void require_models_of_caller(const Caller &caller, Texts models);

// After a change of a team: refuses it if it now exceeds its organization, naming the limit and both values.
void require_team_within_organization(Session &session, Text organization_id, Text team_id);

// After a change of a key: the same for its models and those of its team and organization.
void require_key_within_owners(Session &session, Text key_id);

// After somebody else than a proxy admin has changed a key outside organizations: the same for its user.
void require_key_within_user(Session &session, Text key_id);

// After a change of an organization or of its budget: refuses it if teams or keys now exceed it, naming them, or lowers
// them with cascade.
void keep_within_organization(Session &session, Text organization_id, bool cascade);

// After a change of a team: the same for its keys.
void keep_within_team(Session &session, Text team_id, bool cascade);

} // namespace pg_org
