// Patterns of names, and lists of names as messages show them.
#pragma once

#include "types.hpp"

namespace pg_org {

// Whether the text matches a pattern in which * stands for any characters.
bool matches_pattern(Text pattern, Text text);
// ['a', 'b']; a long list ends in the number of those left out.
const char *show_list(Texts list);

} // namespace pg_org
