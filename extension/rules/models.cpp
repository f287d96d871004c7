// Matching models against lists.

#include "models.hpp"

#include "base/bounds.hpp"
#include "base/fail.hpp"
#include "base/session.hpp"

namespace pg_org {

namespace {

// Names for all models of the owner, or for none: they never widen a list.
constexpr std::array<Text, 2> narrow_names{"all-team-models", "no-default-models"};

// The first position of a non-empty part in the text, found by Knuth, Morris and Pratt's algorithm, so that hostile
// patterns take linear time, too.
size_t find_part(Text text, Text part)
{
    if (part.size() > text.size())
        return Text::npos;
    // For each prefix of the part, the length of its longest proper suffix that is a prefix, too.
    const auto borders = allocate<size_t>(part.size());
    const auto extend = [&](size_t matched, char next) {
        while (matched > 0 && part[matched] != next)
            matched = borders[matched - 1];
        return part[matched] == next ? matched + 1 : matched;
    };
    for (size_t i = 1; i < part.size(); i++)
        borders[i] = extend(borders[i - 1], part[i]);
    size_t matched = 0, at = 0;
    while (at < text.size() && matched < part.size())
        matched = extend(matched, text[at++]);
    pfree(borders.data());
    return matched == part.size() ? at - matched : Text::npos;
}

// Whether the text matches a pattern in which * stands for any characters. Each part between two of them is matched at
// its first occurrence, which leaves the most text to the parts after it.
bool matches(Text pattern, Text text)
{
    const size_t first = pattern.find('*'), last = pattern.rfind('*');
    if (first == Text::npos)
        return pattern == text;
    const Text start = head(pattern, first), end = tail(pattern, last + 1);
    if (text.size() < start.size() + end.size() || !text.starts_with(start) || !text.ends_with(end))
        return false;
    text = head(tail(text, start.size()), text.size() - start.size() - end.size());
    Text parts = head(tail(pattern, first + 1), last - first); // each with the * after it
    while (!parts.empty()) {
        const Text part = head(parts, std::min(parts.find('*'), parts.size()));
        parts = tail(parts, std::min(part.size() + 1, parts.size()));
        const size_t at = part.empty() ? 0 : find_part(text, part);
        if (at == Text::npos)
            return false;
        text = tail(text, at + part.size());
    }
    return true;
}

constexpr size_t max_shown = 10;

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
               return matches(name, model);
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

const char *show_list(Texts list)
{
    StringInfoData shown;
    initStringInfo(&shown);
    appendStringInfoChar(&shown, '[');
    for (size_t i = 0; i < std::min(list.size(), max_shown); i++)
        appendStringInfo(&shown, "%s'%.*s'", i == 0 ? "" : ", ", FMT_ARG(list[i]));
    if (list.size() > max_shown)
        appendStringInfo(&shown, ", and %zu more", list.size() - max_shown);
    appendStringInfoChar(&shown, ']');
    return shown.data;
}

} // namespace pg_org
