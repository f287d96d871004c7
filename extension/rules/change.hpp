// Changes of fields: what is set, merged or cleared.
#pragma once

#include "base/session.hpp"

namespace pg_org {

// A change of a JSON object: its new value, or what is merged into it.
struct ObjectChange {
    Json value;
    bool merge;
    Json applied_to(Maybe<Json> before) const
    {
        return merge ? merge_patch(before ? *before : empty_object(), value) : value;
    }
};

// A caller's change of a field to the value; none keeps the field.
template <typename T> Change<T> change_to(Maybe<T> value) { return value ? Change<T>{value} : Change<T>{}; }

// The fields that the argument `clear` of a call names. Other arguments of the call may be among them, since clients
// send null for everything that they leave empty: what can't be null stays as it is.
Texts fields_to_clear(const Session &session, Texts clearable);

// Refuses a field that a patch names, with a hint that lists the possible ones.
[[noreturn]] void cannot_be_changed(const char *field, Texts changeable);

} // namespace pg_org
