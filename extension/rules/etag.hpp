// Entity tags: what a reader saw, so that a later change can insist on it.
#pragma once

#include "base/fail.hpp"
#include "base/session.hpp"

namespace pg_org {

// The entity tag of an organization, team or budget as this extension writes it, without quotes: a digest of its
// updated_at, the first in it. Changing its fields changes the tag; spending, and changes of its members, do not.
Text entity_tag(Text json);

// Whether the value of an If-Match header (or a bare tag) admits the tag.
bool admits(Text if_match, Text tag);

// Goes on if there is no if_match, or it admits the object as it is now; write() writes that to the reply.
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
