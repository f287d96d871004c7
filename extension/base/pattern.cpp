// Matching patterns, and showing lists.

#include "pattern.hpp"

#include "fail.hpp"

namespace pg_org {

namespace {

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

constexpr size_t max_shown = 10;

} // namespace

// Each part between two * is matched at its first occurrence, which leaves the most text to the parts after it.
bool matches_pattern(Text pattern, Text text)
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
