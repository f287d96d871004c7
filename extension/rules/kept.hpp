// Fields of LiteLLM that limit nothing here: an LLM gateway reads them, and they are given back as they were set. They
// are stored in the column `kept`, and shown where LiteLLM shows them: inside metadata, or beside it.
#pragma once

#include "base/session.hpp"

namespace pg_org {

struct KeptField {
    const char *name;
    enum class Is { list, texts, object, text } is;
};

inline constexpr std::array kept_of_organizations{
    KeptField{"access_group_ids", KeptField::Is::list},  KeptField{"guardrails", KeptField::Is::list},
    KeptField{"logging", KeptField::Is::list},           KeptField{"object_permission", KeptField::Is::object},
    KeptField{"policies", KeptField::Is::list},          KeptField{"prompts", KeptField::Is::list},
    KeptField{"router_settings", KeptField::Is::object},
};

inline constexpr std::array kept_of_teams{
    KeptField{"access_group_ids", KeptField::Is::list},
    KeptField{"admins", KeptField::Is::texts},
    KeptField{"enforced_params", KeptField::Is::list},
    KeptField{"members", KeptField::Is::texts},
    KeptField{"guardrails", KeptField::Is::list},
    KeptField{"logging", KeptField::Is::list},
    KeptField{"object_permission", KeptField::Is::object},
    KeptField{"policies", KeptField::Is::list},
    KeptField{"prompts", KeptField::Is::list},
    KeptField{"router_settings", KeptField::Is::object},
    KeptField{"rpm_limit_type", KeptField::Is::text},
    KeptField{"team_member_key_duration", KeptField::Is::text},
    KeptField{"tpm_limit_type", KeptField::Is::text},
};

inline constexpr std::array kept_of_keys{
    KeptField{"access_group_ids", KeptField::Is::list},  KeptField{"allowed_cache_controls", KeptField::Is::list},
    KeptField{"config", KeptField::Is::object},          KeptField{"enforced_params", KeptField::Is::list},
    KeptField{"guardrails", KeptField::Is::list},        KeptField{"key_type", KeptField::Is::text},
    KeptField{"logging", KeptField::Is::list},           KeptField{"object_permission", KeptField::Is::object},
    KeptField{"policies", KeptField::Is::list},          KeptField{"prompts", KeptField::Is::list},
    KeptField{"router_settings", KeptField::Is::object}, KeptField{"rpm_limit_type", KeptField::Is::text},
    KeptField{"tpm_limit_type", KeptField::Is::text},
};

inline constexpr std::array kept_of_end_users{
    KeptField{"allowed_model_region", KeptField::Is::text},
    KeptField{"default_model", KeptField::Is::text},
    KeptField{"object_permission", KeptField::Is::object},
};

// A change of such fields.
class KeptChange {
public:
    explicit KeptChange(std::span<const KeptField> fields) : fields_(fields) {}

    // Takes the arguments of the fields' names.
    void read(const Session &session);
    // Sets a field from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value);

    bool any() const { return !names().empty(); }
    // The fields that are set or cleared, and those that are set with their values.
    Texts names() const;
    Json values() const;
    // The fields that can be cleared, these and others.
    Texts clearable(Texts others) const;

private:
    static constexpr size_t max_fields = 16;

    std::span<const KeptField> fields_;
    std::array<Maybe<Value>, max_fields> values_{};
};

// Assignments of an UPDATE, with the parameters of a new metadata, values() and names(). The last removes a copy that
// a client sent back inside metadata.
#define SET_METADATA_AND_KEPT(metadata, values, names)                                                                 \
    "metadata = coalesce(" metadata ", metadata) - " names ", kept = (kept - " names ") || " values
// What is shown as metadata of a row, without the fields that are shown beside it (an array).
#define METADATA_OF(row, beside) "(" row ".metadata || (" row ".kept - " beside "::text[])) AS metadata"

} // namespace pg_org
