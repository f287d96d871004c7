// What is said when something is wrong: which status, in which of the three envelopes, in which words.
#pragma once

#include "database.hpp"
#include "http.hpp"
#include "routes.hpp"

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

struct FieldError {
    std::string type;
    nlohmann::ordered_json location;  // ["body", "member", 0, "role"]
    std::string message;
};

// A reply lists no more than these: a body of wrong values must not come back many times its size.
inline constexpr std::size_t max_field_errors = 100;

// 422.  Each entry echoes the offending value, found by its location, but no secret.
Reply refuse_fields(const std::vector<FieldError>& errors, const Request& request);

Reply refuse(int status, std::string_view message, Envelope envelope = Envelope::detail);

// A request that had no acceptable key.
Reply refuse_key(std::string_view message);

Reply refuse_path(const std::string& allowed_methods);

// Whether the same may work later: the database is away, busy or slow.
bool is_passing(const DatabaseError& error);

// Why a request is refused, and what the reply shows of that besides the words.
struct Refusal {
    DatabaseError error;
    std::string param = "None";    // the field that it is about
    std::string limit = {};        // the limit that says no, as JSON; empty without one
    std::string retry_after = {};  // seconds; empty if waiting does not help
};

// An element that stands for a refusal in the reply of a function for many requests:
// {"error": {"sqlstate": …, "message": …, "param": …, "retry_after": …, "limit": …}}, the last three maybe null.
bool is_refusal(std::string_view element);
Refusal read_refusal(std::string_view element);
// What others have locked, if the element refuses to wait for that.
std::optional<std::string> held_by(std::string_view element);

Reply translate(const Refusal& refusal, const Route& route, const Request& request);

}  // namespace pg_org
