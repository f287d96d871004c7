// The last stage of a request: the reply.  A result, with its entity tag and the link to the next page; or an error,
// with its status, envelope and message.
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

// Completes the reply to a successful request.
void add_page_and_tag(Reply &reply, const Asked &asked, const std::string &tag);

// The Link header's value for a full page, empty for any other reply.
std::string next_page(const Route &route, const Fields &query, std::string_view reply);

// What `after` takes for the page after this one, which has been asked for with this limit; empty if it is the last
// one.
std::string next_cursor(const Route &route, std::string_view reply, std::string_view limit);

// 422.  Each entry echoes the offending value, found by its location, but no secret.
Reply refuse_fields(const std::vector<FieldError> &errors, const Request &request);

inline constexpr std::string_view unavailable = "The database is unavailable";
inline constexpr std::string_view not_set_up = "The database is not set up for this gateway; its log says why";

Reply refuse(int status, std::string_view message, Envelope envelope = Envelope::detail, std::string_view hint = {});

// 401, for a malformed key.
Reply refuse_key(std::string_view message);

Reply refuse_path(const std::string &allowed_methods);

// Whether a retry may succeed: the database is away, busy or slow.
bool is_transient(const DatabaseError &error);

// Why a request is refused, and what the reply shows besides the message.
struct Refusal {
    DatabaseError error;
    std::string param = "None";   // the field that it is about
    std::string limit = {};       // the limit reached, as JSON; empty: none
    std::string retry_after = {}; // seconds; empty: waiting does not help
};

// An element that is a refusal, in the reply of a function that takes a batch:
// {"error": {"sqlstate": …, "message": …, "param": …, "hint": …, "retry_after": …, "limit": …}}, of which the
// last four may be null.
bool is_refusal(std::string_view element);
Refusal read_refusal(std::string_view element);
// The lock of another transaction that made the database refuse the element, if it did for that.
std::optional<std::string> held_by(std::string_view element);

Reply translate(const Refusal &refusal, const Route &route, const Request &request);

// As translate(), and records the error in log and trace.
Reply refuse(const Refusal &refusal, const Route &route, const Request &request);

// Whether a function was not found by name, schema and arguments, so that nothing was done.
bool functions_have_changed(const DatabaseError &error);

} // namespace pg_org
