// Checking and storing the fields that are kept.

#include "kept.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"

namespace pg_org {

namespace {

void push_member(JsonbParseState **state, Text key, const Value &value)
{
    JsonbValue name{.type = jbvString};
    name.val.string.val = const_cast<char *>(key.data());
    name.val.string.len = static_cast<int>(key.size());
    pushJsonbValue(state, WJB_KEY, &name);
    pushJsonbValue(state, WJB_VALUE, const_cast<JsonbValue *>(&value.raw()));
}

Json end_object(JsonbParseState **state)
{
    return {PointerGetDatum(JsonbValueToJsonb(pushJsonbValue(state, WJB_END_OBJECT, nullptr)))};
}

// The object with the member set, or without it if the value is null.
Json with_member(Json before, Text name, const Value &value)
{
    JsonbParseState *state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (const auto &[key, other] : members(before)) {
        CHECK_FOR_INTERRUPTS();
        if (key != name)
            push_member(&state, key, other);
    }
    if (!value.is_null())
        push_member(&state, name, value);
    return end_object(&state);
}

} // namespace

void KeptChange::read(const Session &session)
{
    for (const KeptField &field : fields_)
        if (const auto value = session.json(field.name); value && !value->is_null())
            set(to_text(field.name), *value);
}

bool KeptChange::set(Text name, const Value &value)
{
    for (size_t i = 0; i < fields_.size(); i++) {
        if (name != fields_[i].name)
            continue;
        if (fields_[i].is == KeptField::Is::object && !value.is_null())
            object(value.as_object(), value.path());
        else if (!value.is_null())
            bounded_elements(value);
        values_[i] = value;
        return true;
    }
    return false;
}

Maybe<Json> KeptChange::metadata(Maybe<Json> given, Maybe<Json> before) const
{
    Maybe<Json> after = given;
    for (size_t i = 0; i < fields_.size(); i++)
        if (values_[i] && fields_[i].in_metadata)
            after = with_member(after ? *after : before ? *before : empty_object(), fields_[i].name, *values_[i]);
    return after ? object(after, "metadata") : after;
}

Maybe<Json> KeptChange::beside_metadata() const
{
    JsonbParseState *state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    bool is_empty = true;
    for (size_t i = 0; i < fields_.size(); i++)
        if (values_[i] && !fields_[i].in_metadata) {
            push_member(&state, fields_[i].name, *values_[i]);
            is_empty = false;
        }
    return is_empty ? Maybe<Json>{} : end_object(&state);
}

} // namespace pg_org
