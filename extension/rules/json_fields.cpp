// Reading fields that are stored together.

#include "json_fields.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "budget.hpp"
#include "limit.hpp"

namespace pg_org {

namespace {

Value text_value(Text text, const char *name)
{
    JsonbValue value{.type = jbvString};
    value.val.string.val = const_cast<char *>(text.data());
    value.val.string.len = static_cast<int>(text.size());
    return {value, name};
}

Value number_value(Number number, const char *name)
{
    JsonbValue value{.type = jbvNumeric};
    value.val.numeric = DatumGetNumeric(number.datum);
    return {value, name};
}

constexpr size_t max_entries = 200; // of one field

void require_counts_by_model(const Value &by_model)
{
    const auto entries = members(by_model.as_object(), by_model.path());
    if (entries.size() > max_entries)
        invalid(by_model.path(), "must be at most %zu entries", max_entries);
    for (const auto &[model, value] : entries) {
        if (model.empty() || model.size() > max_name_bytes)
            invalid(by_model.path(), "must name models by 1 to %zu bytes", max_name_bytes);
        limit(value.as_integer(), by_model.path());
    }
}

void require_budgets(const Value &list)
{
    const auto elements = bounded_elements(list);
    if (elements.size() > max_entries)
        invalid(list.path(), "must be at most %zu entries", max_entries);
    for (const Value &entry : elements) {
        if (!entry.is_object())
            invalid(entry.path(), "must be an object of max_budget and budget_duration");
        const Value amount = entry.member("max_budget"), duration = entry.member("budget_duration");
        money(amount.as_number(), amount.path());
        if (!duration.is_null())
            checked_duration(duration.as_text(), duration.path());
    }
}

void require_type(JsonField::Is is, const Value &value)
{
    switch (is) {
    case JsonField::Is::object: object(value.as_object(), value.path()); break;
    case JsonField::Is::list: bounded_elements(value); break;
    case JsonField::Is::texts: bounded_list(value.as_texts(), value.path()); break;
    case JsonField::Is::text: bounded_text(value.as_text(), value.path()); break;
    case JsonField::Is::money: money(value.as_number(), value.path()); break;
    case JsonField::Is::count: limit(value.as_integer(), value.path()); break;
    case JsonField::Is::duration: checked_duration(value.as_text(), value.path()); break;
    case JsonField::Is::time: checked_time(value.as_text(), value.path()); break;
    case JsonField::Is::counts_by_model: require_counts_by_model(value); break;
    case JsonField::Is::budgets_by_model: model_budgets(value.as_object(), value.path()); break;
    case JsonField::Is::budgets: require_budgets(value); break;
    }
}

// The argument of a call, whose type in SQL depends on what the field is.
Maybe<Value> argument(const Session &session, const JsonField &field)
{
    const char *name = field.name;
    switch (field.is) {
    case JsonField::Is::text:
    case JsonField::Is::duration:
    case JsonField::Is::time: {
        const auto text = session.argument<Text>(name);
        return text ? text_value(*text, name) : Maybe<Value>{};
    }
    case JsonField::Is::money: {
        const auto amount = session.argument<Number>(name);
        return amount ? number_value(*amount, name) : Maybe<Value>{};
    }
    case JsonField::Is::count: {
        const auto count = session.argument<int64>(name);
        return count ? number_value(number(*count), name) : Maybe<Value>{};
    }
    default: {
        const auto value = session.json(name);
        return value && !value->is_null() ? value : Maybe<Value>{};
    }
    }
}

} // namespace

void JsonFieldsChange::read(const Session &session)
{
    for (const JsonField &field : fields_)
        if (const auto value = argument(session, field))
            set(to_text(field.name), *value);
}

bool JsonFieldsChange::set(Text name, const Value &value)
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

bool JsonFieldsChange::sets_any() const
{
    return std::ranges::any_of(values_, [](const Maybe<Value> &value) { return value && !value->is_null(); });
}

void JsonFieldsChange::override_with(const JsonFieldsChange &other)
{
    for (size_t i = 0; i < fields_.size(); i++)
        if (other.values_[i])
            values_[i] = other.values_[i];
}

Texts JsonFieldsChange::names() const
{
    const auto names = allocate<Text>(fields_.size());
    size_t count = 0;
    for (size_t i = 0; i < fields_.size(); i++)
        if (values_[i])
            names[count++] = to_text(fields_[i].name);
    return names.first(count);
}

Json JsonFieldsChange::values() const
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

Texts JsonFieldsChange::clearable(Texts others) const
{
    const auto all = allocate<Text>(others.size() + fields_.size());
    auto end = std::ranges::copy(others, all.begin()).out;
    for (const JsonField &field : fields_)
        *end++ = to_text(field.name);
    return all;
}

} // namespace pg_org
