#include "unbound.hpp"

#include "url.hpp"
#include "vocabulary.hpp"

namespace pg_org {
namespace {

bool takes(const Function &function, std::string_view field)
{
    return field != "api_key" && find_argument(function, field);
}

// Clients send `spend` 0 along with what is new and has spent nothing.
bool is_zero_spend(std::string_view field, const Value &value)
{
    return field == "spend" && integer_text(value.text) == "0";
}

} // namespace

Unbound sort_out(const Asked &asked, const Function &function)
{
    Unbound unbound;
    const auto refuse = [&](std::string_view source, const std::string &field, std::string_view rule) {
        if (unbound.errors.size() < max_field_errors)
            unbound.errors.push_back({"value_error", {source, field}, '"' + field + "\" " + std::string{rule}});
    };
    const auto ignore = [&](std::string_view source, const std::string &field) {
        if (asked.is_strict)
            refuse(source, field, "is not a field of this request");
        else
            unbound.ignored.push_back(field);
    };
    for (const auto &[field, value] : asked.sent) {
        if (takes(function, field))
            continue;
        if (!is_documented(asked.route, field) || is_zero_spend(field, value))
            ignore(asked.source, field);
        else if (is_set(value))
            refuse(asked.source, field, "is not supported");
    }
    for (const auto &[field, value] : asked.beside)
        ignore("query", field);
    return unbound;
}

std::string listed(const std::vector<std::string> &names)
{
    constexpr std::size_t max_length = 1000, max_name = 100;
    std::string list;
    for (const auto &name : names) {
        const auto encoded = percent_encode(std::string_view{name}.substr(0, max_name));
        if (list.size() + encoded.size() > max_length)
            return list + ", ...";
        (list += list.empty() ? "" : ", ") += encoded;
    }
    return list;
}

} // namespace pg_org
