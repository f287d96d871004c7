// The third stage of a request: the database is called, for this request alone or for many at once, on the primary or
// on a standby, once or until there is something to tell.
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
    std::string tag = {};                // of the thing in the reply
    std::optional<Refusal> refusal = {}; // of one request among many
    std::vector<FieldError> errors = {}; // of a request by a good key
};

class Caller {
public:
    Caller(const Config &config, Database &database);

    // Throws DatabaseError.
    Answer call(const Asked &asked, const Bound &bound);

    // Ends waiting for events, now and for good.
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
