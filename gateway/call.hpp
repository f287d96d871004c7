// The third stage of a request: calls the database, alone or in a batch, on the primary or on a standby, once or until
// there are events.
#pragma once

#include "batch.hpp"
#include "bind.hpp"
#include "config.hpp"
#include "database.hpp"
#include "events.hpp"
#include "http.hpp"
#include "read.hpp"
#include "replica.hpp"
#include "reply.hpp"

#include <optional>
#include <string>

namespace pg_org {

struct Answer {
    Reply reply;
    std::string tag = {};                  // entity tag of the reply
    std::optional<Refusal> refusal = {};   // of a request in a batch
    std::vector<FieldError> errors = {};   // of a request with a valid key
    std::vector<std::string> ignored = {}; // fields that were sent for nothing
};

class Caller {
public:
    Caller(const Config &config, Database &database);

    // Throws DatabaseError.
    Answer call(const Asked &asked, const Bound &bound);

    // Ends all waiting for events, for good.
    void stop() { listeners_.stop(); }

    const Replicas &replicas() const { return replicas_; }

private:
    Database &database_;
    Replicas replicas_;
    Listeners listeners_;
    Batches batches_;
    const bool batching_;

    Answer call_alone(const Asked &asked, const Bound &bound);
    Answer call_with_others(const Asked &asked, const Bound &bound);
    Answer listen(const Asked &asked, const Bound &bound);
};

} // namespace pg_org
