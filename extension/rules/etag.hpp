// Entity tags: a change can require that the object is still as its caller last read it.
#pragma once

#include "base/fail.hpp"
#include "base/session.hpp"

namespace pg_org {

// The entity tag of an organization, team or budget as this extension writes it, without quotes: a digest of its own
// updated_at, which comes first. Changes of its fields change the tag; spending and changes of its members do not.
Text entity_tag(Text json);

// Whether the value of an If-Match header (or a bare tag) admits the tag.
bool admits(Text if_match, Text tag);

// Refuses the change if if_match does not admit the object, which write() writes to the reply as it is now.
template <typename Write> void require_match(Session &session, Maybe<Text> if_match, Write write)
{
    if (!if_match)
        return;
    const StringInfo buffer = session.reply.buffer();
    const int start = buffer->len;
    write();
    const Text tag = entity_tag({buffer->data + start, static_cast<size_t>(buffer->len - start)});
    session.reply.take_back(start);
    if (!admits(*if_match, tag))
        stale();
}

} // namespace pg_org
