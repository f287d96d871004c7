// Reading changes of limits.

#include "limit_change.hpp"

#include "limit.hpp"

namespace pg_org {

void LimitChange::read(const Session &session)
{
    sentences = pg_org::sentences(session.json("limits"), "limits");
    short_forms.read(session);
}

bool LimitChange::set(Text field, const Value &value)
{
    if (field != "limits")
        return short_forms.set(field, value);
    const auto list = pg_org::sentences(value, value.path());
    sentences = list.value_or(empty_array());
    return true;
}

bool LimitChange::sets_any() const
{
    return (sentences && JB_ROOT_COUNT(sentences->get()) > 0) || short_forms.sets_any();
}

void LimitChange::override_with(const LimitChange &other)
{
    if (other.sentences)
        sentences = other.sentences;
    short_forms.override_with(other.short_forms);
}

Texts LimitChange::clearable(Texts others) const
{
    const auto all = allocate<Text>(others.size() + 1);
    *std::ranges::copy(others, all.begin()).out = "limits";
    return short_forms.clearable(all);
}

} // namespace pg_org
