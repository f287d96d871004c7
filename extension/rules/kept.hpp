// Fields of LiteLLM that limit nothing here: an LLM gateway reads them, and they are given back as they were set. They
// are stored in the column `kept`, and shown where LiteLLM shows them: inside metadata, or beside it.
#pragma once

#include "json_fields.hpp"

namespace pg_org {

inline constexpr std::array kept_of_organizations{
    JsonField{"access_group_ids", JsonField::Is::list},  JsonField{"guardrails", JsonField::Is::list},
    JsonField{"logging", JsonField::Is::list},           JsonField{"object_permission", JsonField::Is::object},
    JsonField{"policies", JsonField::Is::list},          JsonField{"prompts", JsonField::Is::list},
    JsonField{"router_settings", JsonField::Is::object},
};

inline constexpr std::array kept_of_teams{
    JsonField{"access_group_ids", JsonField::Is::list},
    JsonField{"admins", JsonField::Is::texts},
    JsonField{"enforced_params", JsonField::Is::list},
    JsonField{"members", JsonField::Is::texts},
    JsonField{"guardrails", JsonField::Is::list},
    JsonField{"logging", JsonField::Is::list},
    JsonField{"object_permission", JsonField::Is::object},
    JsonField{"policies", JsonField::Is::list},
    JsonField{"prompts", JsonField::Is::list},
    JsonField{"router_settings", JsonField::Is::object},
    JsonField{"rpm_limit_type", JsonField::Is::text},
    JsonField{"team_member_key_duration", JsonField::Is::text},
    JsonField{"tpm_limit_type", JsonField::Is::text},
};

inline constexpr std::array kept_of_keys{
    JsonField{"access_group_ids", JsonField::Is::list},  JsonField{"allowed_cache_controls", JsonField::Is::list},
    JsonField{"config", JsonField::Is::object},          JsonField{"enforced_params", JsonField::Is::list},
    JsonField{"guardrails", JsonField::Is::list},        JsonField{"key_type", JsonField::Is::text},
    JsonField{"logging", JsonField::Is::list},           JsonField{"object_permission", JsonField::Is::object},
    JsonField{"policies", JsonField::Is::list},          JsonField{"prompts", JsonField::Is::list},
    JsonField{"router_settings", JsonField::Is::object}, JsonField{"rpm_limit_type", JsonField::Is::text},
    JsonField{"tpm_limit_type", JsonField::Is::text},
};

inline constexpr std::array kept_of_end_users{
    JsonField{"allowed_model_region", JsonField::Is::text},
    JsonField{"default_model", JsonField::Is::text},
    JsonField{"object_permission", JsonField::Is::object},
};

// Assignments of an UPDATE, with the parameters of a new metadata, values() and names(). The last removes a copy that
// a client sent back inside metadata.
#define SET_METADATA_AND_KEPT(metadata, values, names)                                                                 \
    "metadata = coalesce(" metadata ", metadata) - " names ", kept = (kept - " names ") || " values
// What is shown as metadata of a row, without the fields that are shown beside it (an array).
#define METADATA_OF(row, beside) "(" row ".metadata || (" row ".kept - " beside "::text[])) AS metadata"

} // namespace pg_org
