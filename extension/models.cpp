// Which models a list allows.

#include "models.hpp"

namespace pg_org {

namespace {

// Names that stand for what the owner has, or for nothing, and so never widen a list.
constexpr std::array<Text, 2> narrow_names{"all-team-models", "no-default-models"};

// Whether the text matches a pattern in which * stands for any characters.
bool matches(Text pattern, Text text)
{
    size_t at_pattern = 0, at_text = 0;
    size_t star = Text::npos, text_at_star = 0;
    while (at_text < text.size()) {
        if (at_pattern < pattern.size() && pattern[at_pattern] == '*') {
            star = at_pattern++;
            text_at_star = at_text;
        } else if (at_pattern < pattern.size() && pattern[at_pattern] == text[at_text]) {
            at_pattern++;
            at_text++;
        } else if (star != Text::npos) {
            at_pattern = star + 1;
            at_text = ++text_at_star;
        } else {
            return false;
        }
    }
    while (at_pattern < pattern.size() && pattern[at_pattern] == '*')
        at_pattern++;
    return at_pattern == pattern.size();
}

} // namespace

bool allows_all(Texts list)
{
    return std::ranges::any_of(list, [](Text name) { return name == "all-proxy-models" || name == "*"; });
}

bool allows(Texts list, Text model)
{
    return allows_all(list) || std::ranges::find(narrow_names, model) != narrow_names.end() ||
           std::ranges::any_of(list, [&](Text name) { return matches(name, model); });
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
    for (size_t i = 0; i < list.size(); i++)
        appendStringInfo(&shown, "%s'%.*s'", i == 0 ? "" : ", ", static_cast<int>(list[i].size()), list[i].data());
    appendStringInfoChar(&shown, ']');
    return shown.data;
}

} // namespace pg_org
