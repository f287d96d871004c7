// Matching models against lists.

#include "models.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/session.hpp"

namespace pg_org {

namespace {

// Names for all models of the owner, or for none: they never widen a list.
constexpr std::array<Text, 2> narrow_names{"all-team-models", "no-default-models"};

} // namespace

Maybe<Texts> model_list(Maybe<Texts> models, const char *name)
{
    if (!text_list(models, name))
        return {};
    const auto is_long = [](Text model) { return model.size() > max_name_bytes; };
    if (std::ranges::any_of(bounded_list(*models, name), is_long))
        invalid(name, "must be names of at most %zu bytes", max_name_bytes);
    return models;
}

Maybe<Json> model_aliases(Maybe<Json> aliases, const char *name)
{
    if (!object(aliases, name))
        return {};
    const auto entries = members(*aliases);
    if (entries.size() > max_listed)
        invalid(name, "must be at most %zu aliases", max_listed);
    const auto is_long = [](const Member &entry) {
        return std::max(entry.key.size(), entry.value.text().value_or(Text{}).size()) > max_name_bytes;
    };
    if (std::ranges::any_of(entries, is_long))
        invalid(name, "must be names of at most %zu bytes", max_name_bytes);
    return aliases;
}

bool allows_all(Texts list)
{
    return std::ranges::any_of(list, [](Text name) { return name == "all-proxy-models" || name == "*"; });
}

bool allows(Texts list, Text model)
{
    return allows_all(list) || std::ranges::find(narrow_names, model) != narrow_names.end() ||
           std::ranges::any_of(list, [&](Text name) {
               CHECK_FOR_INTERRUPTS();
               return matches_pattern(name, model);
           });
}

bool is_model(Text name)
{
    return name != "all-proxy-models" && name.find('*') == Text::npos &&
           std::ranges::find(narrow_names, name) == narrow_names.end();
}

Maybe<Text> first_not_allowed(Texts list, Texts models)
{
    if (list.empty())
        return {};
    const auto found = std::ranges::find_if(models, [&](Text model) { return !allows(list, model); });
    return found == models.end() ? Maybe<Text>{} : *found;
}

} // namespace pg_org
