// Reading the fields that are kept.

#include "kept.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"

namespace pg_org {

namespace {

Value text_value(Text text, const char *name)
{
    JsonbValue value{.type = jbvString};
    value.val.string.val = const_cast<char *>(text.data());
    value.val.string.len = static_cast<int>(text.size());
    return {value, name};
}

void require_type(KeptField::Is is, const Value &value)
{
    switch (is) {
    case KeptField::Is::object: object(value.as_object(), value.path()); break;
    case KeptField::Is::list: bounded_elements(value); break;
    case KeptField::Is::texts: bounded_list(value.as_texts(), value.path()); break;
    case KeptField::Is::text: bounded_text(value.as_text(), value.path()); break;
    }
}

} // namespace

void KeptChange::read(const Session &session)
{
    for (const KeptField &field : fields_)
        if (field.is == KeptField::Is::text) {
            if (const auto text = session.argument<Text>(field.name))
                set(to_text(field.name), text_value(*text, field.name));
        } else if (const auto value = session.json(field.name); value && !value->is_null()) {
            set(to_text(field.name), *value);
        }
}

bool KeptChange::set(Text name, const Value &value)
{
    for (size_t i = 0; i < fields_.size(); i++) {
        if (name != fields_[i].name)
            continue;
        if (!value.is_null())
            require_type(fields_[i].is, value);
        values_[i] = value;
        return true;
    }
    return false;
}

Texts KeptChange::names() const
{
    const auto names = allocate<Text>(fields_.size());
    size_t count = 0;
    for (size_t i = 0; i < fields_.size(); i++)
        if (values_[i])
            names[count++] = to_text(fields_[i].name);
    return names.first(count);
}

Json KeptChange::values() const
{
    JsonbParseState *state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (size_t i = 0; i < fields_.size(); i++) {
        if (!values_[i] || values_[i]->is_null())
            continue;
        JsonbValue name = text_value(to_text(fields_[i].name), "").raw();
        pushJsonbValue(&state, WJB_KEY, &name);
        pushJsonbValue(&state, WJB_VALUE, const_cast<JsonbValue *>(&values_[i]->raw()));
    }
    const Json values{PointerGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)))};
    return *object(values, "metadata");
}

Texts KeptChange::clearable(Texts others) const
{
    const auto all = allocate<Text>(others.size() + fields_.size());
    auto end = std::ranges::copy(others, all.begin()).out;
    for (const KeptField &field : fields_)
        *end++ = to_text(field.name);
    return all;
}

} // namespace pg_org
