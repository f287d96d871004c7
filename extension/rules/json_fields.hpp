// Fields that are stored together in one jsonb column, as they were sent.
#pragma once

#include "base/session.hpp"

namespace pg_org {

struct JsonField {
    const char *name;
    enum class Is {
        list,
        texts,
        object,
        text,
        money,
        count,
        duration,
        time,
        counts_by_model,
        budgets_by_model,
        budgets,
    } is;
};

// A change of such fields.
class JsonFieldsChange {
public:
    explicit JsonFieldsChange(std::span<const JsonField> fields) : fields_(fields) {}

    // Takes the arguments of the fields' names.
    void read(const Session &session);
    // Sets a field from a JSON value, null clears; false if there is no such field.
    bool set(Text field, const Value &value);

    bool any() const { return !names().empty(); }
    // Whether it gives any field a value.
    bool sets_any() const;
    // Takes over every field that the other change, of the same fields, sets or clears.
    void override_with(const JsonFieldsChange &other);
    // The fields that are set or cleared, and those that are set with their values.
    Texts names() const;
    Json values() const;
    // The fields that can be cleared, these and others.
    Texts clearable(Texts others) const;

private:
    static constexpr size_t max_fields = 16;

    std::span<const JsonField> fields_;
    std::array<Maybe<Value>, max_fields> values_{};
};

} // namespace pg_org
