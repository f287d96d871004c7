// Events: written in the same transaction as the change that they report.
#pragma once

#include "base/types.hpp"

namespace pg_org {

class Session;

// Writes an event; data_json is an object. An empty organization_id means none.
void emit_event(Session &session, Text organization_id, Text kind, Text data_json);

} // namespace pg_org
