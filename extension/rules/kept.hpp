// Fields of LiteLLM that limit nothing here: an LLM gateway reads them, and they are given back as they were set. Those
// that LiteLLM shows inside metadata are members of it, under the same name.
#pragma once

#include "base/session.hpp"

namespace pg_org {

struct KeptField {
    const char *name;
    enum class Is { list, object } is;
    bool in_metadata;
};

inline constexpr std::array kept_of_organizations{
    KeptField{"access_group_ids", KeptField::Is::list, true},
    KeptField{"guardrails", KeptField::Is::list, true},
    KeptField{"logging", KeptField::Is::list, true},
    KeptField{"object_permission", KeptField::Is::object, false},
    KeptField{"policies", KeptField::Is::list, true},
    KeptField{"prompts", KeptField::Is::list, true},
    KeptField{"router_settings", KeptField::Is::object, true},
};

// A change of such fields.
class KeptChange {
public:
    explicit KeptChange(std::span<const KeptField> fields) : fields_(fields) {}

    // Takes the arguments of the fields' names.
    void read(const Session &session);
    // Sets a field from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value);
    // The metadata after the change, if it concerns that.
    Maybe<Json> metadata(Maybe<Json> given, Maybe<Json> before) const;
    // The other fields that change, as members of an object; null clears.
    Maybe<Json> beside_metadata() const;

private:
    static constexpr size_t max_fields = 16;

    std::span<const KeptField> fields_;
    std::array<Maybe<Value>, max_fields> values_{};
};

} // namespace pg_org
