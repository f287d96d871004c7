// The last stage of a request: what is said.  An answer with its entity tag and the link to the next page; or what is
// wrong: which status, in which of the three envelopes, in which words.
#pragma once

#include "database.hpp"
#include "http.hpp"
#include "read.hpp"
#include "routes.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

// Completes the reply to a request that was done.
void add_page_and_tag(Reply &reply, const Asked &asked, const std::string &tag);

// The Link header's value for a full page, empty for any other reply.
std::string next_page(const Route &route, const Fields &query, std::string_view reply);

// 422.  Each entry echoes the offending value, found by its location, but no secret.
Reply refuse_fields(const std::vector<FieldError> &errors, const Request &request);

Reply refuse(int status, std::string_view message, Envelope envelope = Envelope::detail);

// A request that had no acceptable key.
Reply refuse_key(std::string_view message);

Reply refuse_path(const std::string &allowed_methods);

// Whether the same may work later: the database is away, busy or slow.
bool is_passing(const DatabaseError &error);

// Why a request is refused, and what the reply shows of that besides the words.
struct Refusal {
    DatabaseError error;
    std::string param = "None";   // the field that it is about
    std::string limit = {};       // the limit that says no, as JSON; empty without one
    std::string retry_after = {}; // seconds; empty if waiting does not help
};

// An element that stands for a refusal in the reply of a function for many requests:
// {"error": {"sqlstate": …, "message": …, "param": …, "retry_after": …, "limit": …}}, the last three maybe null.
bool is_refusal(std::string_view element);
Refusal read_refusal(std::string_view element);
// What others have locked, if the element refuses to wait for that.
std::optional<std::string> held_by(std::string_view element);

Reply translate(const Refusal &refusal, const Route &route, const Request &request);

// The same, and the log and the trace tell of it.
Reply refuse(const Refusal &refusal, const Route &route, const Request &request);

// Whether a function was not there under its name, with these arguments, in that schema; nothing was done then.
bool is_of_other_functions(const DatabaseError &error);

} // namespace pg_org
