// Nothing owned may exceed its owner: teams stay within their organization, keys within their team and organization.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// Refuses to let a caller whose key is limited to some models give others to somebody.
void require_models_of_caller(const Caller &caller, Texts models);

// After a change of a team: refuses if it now exceeds its organization, naming the limit and both values.
void require_team_within_organization(Session &session, Text organization_id, Text team_id);

// After a change of a key: likewise for its models and those of its team and organization.
void require_key_within_owners(Session &session, Text key_id);

// After a change of an organization (or of its budget): refuses, naming them, if teams or keys now exceed it; with
// cascade lowers them instead.
void keep_within_organization(Session &session, Text organization_id, bool cascade);

// Likewise after a change of a team, for its keys.
void keep_within_team(Session &session, Text organization_id, Text team_id, bool cascade);

} // namespace pg_org
