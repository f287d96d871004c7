// Refusing changes of fields that there are not.

#include "change.hpp"

#include "base/fail.hpp"

namespace pg_org {

namespace {

[[noreturn]] void refuse_field(Refusal refused, const char *possible, Texts fields)
{
    StringInfoData hint;
    initStringInfo(&hint);
    appendStringInfo(&hint, "Fields that can be %s: ", possible);
    for (size_t i = 0; i < fields.size(); i++)
        appendStringInfo(&hint, "%s%.*s", i == 0 ? "" : ", ", FMT_ARG(fields[i]));
    appendStringInfoChar(&hint, '.');
    refused.hint = hint.data;
    raise(refused);
}

[[noreturn]] void cannot_be_cleared(Text field, Texts clearable)
{
    const char *rule = psprintf("must name fields that can be cleared, not %.*s", FMT_ARG(field));
    refuse_field(invalid_value("clear", rule), "cleared", clearable);
}

} // namespace

Texts fields_to_clear(const Session &session, Texts clearable)
{
    const Texts named = session.argument("clear", text_list).value_or(Texts{});
    const auto fields = allocate<Text>(named.size());
    size_t count = 0;
    for (const Text field : named)
        if (std::ranges::find(clearable, field) != clearable.end())
            fields[count++] = field;
        else if (!session.has_argument(field))
            cannot_be_cleared(field, clearable);
    return fields.first(count);
}

void cannot_be_changed(const char *field, Texts changeable)
{
    refuse_field(invalid_value(field, "is not a field that can be changed"), "changed", changeable);
}

} // namespace pg_org
