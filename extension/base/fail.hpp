// Refusals: one function for each SQLSTATE that the rules raise. HTTP clients read the message, which never contains a
// secret. Each error has the schema name pg_org, by which the gateway tells it from PostgreSQL's own.
#pragma once

#include "types.hpp"

namespace pg_org {

// 22023: "name" followed by what its value must be.  The name may be a path, as in member.0.role.
[[noreturn]] void invalid(const char *name, const char *format, ...) pg_attribute_printf(2, 3);
// 22004: a required field is missing.
[[noreturn]] void missing(const char *name);
// 28000: the key is missing, malformed, unknown or blocked.
[[noreturn]] void unauthenticated(const char *format, ...) pg_attribute_printf(1, 2);
// 28000: the call has no key, and the database role needs one.
[[noreturn]] void key_required();
// 42501: this caller may not do that.
[[noreturn]] void forbidden(const char *format, ...) pg_attribute_printf(1, 2);
// P0002: it does not exist.
[[noreturn]] void not_found(const char *format, ...) pg_attribute_printf(1, 2);
// 23505: it exists already.
[[noreturn]] void exists_already(const char *format, ...) pg_attribute_printf(1, 2);
// 23503: the request names something that does not exist.
[[noreturn]] void no_such_reference(const char *format, ...) pg_attribute_printf(1, 2);
// 40001: a concurrent change needs a lock that is out of order by now; the same call will succeed later.
[[noreturn]] void busy();
// 55ETG: it was changed since the caller last read it.
[[noreturn]] void stale();
// 55000: a rule refuses for another reason.
[[noreturn]] void refused(const char *format, ...) pg_attribute_printf(1, 2);

// 55000, but not a rule's: the tables or functions were altered by their owner and cannot be read.
[[noreturn]] void not_as_made(const char *format, ...) pg_attribute_printf(1, 2);

// SQLSTATEs of our own, for refusals that clients distinguish.
inline constexpr int errcode_expired_key = MAKE_SQLSTATE('2', '8', 'E', 'X', 'P');
inline constexpr int errcode_model_denied = MAKE_SQLSTATE('2', '8', 'M', 'O', 'D');
inline constexpr int errcode_team_permission = MAKE_SQLSTATE('2', '8', 'T', 'M', 'P');
inline constexpr int errcode_rate_limit = MAKE_SQLSTATE('5', '3', 'R', 'A', 'T');
inline constexpr int errcode_route_denied = MAKE_SQLSTATE('4', '2', 'R', 'T', 'E');
inline constexpr int errcode_stale = MAKE_SQLSTATE('5', '5', 'E', 'T', 'G');

// A refusal as a value: requests of a batch are refused one by one, without an error.
struct Refusal {
    int sqlstate;
    const char *argument; // null: none; an error has it as its column name
    const char *message;
    const char *detail = nullptr, *hint = nullptr;
    const char *held = nullptr; // what another transaction has locked, as kind:id
};
Refusal refusal(int sqlstate, const char *argument, const char *format, ...) pg_attribute_printf(3, 4);
// The refusals that invalid() and missing() raise.
Refusal invalid_value(const char *name, const char *rule);
Refusal missing_value(const char *name);
// 28000 or 28EXP: a key that does not work: the caller's own, or that of an argument.
Refusal unknown_key(const char *argument = nullptr);
Refusal blocked_key(const char *argument = nullptr);
Refusal expired_key(Time since, const char *argument = nullptr);
Refusal blocked_team(Text team_id, const char *argument = nullptr);
Refusal blocked_end_user(Text end_user, const char *argument);
Refusal blocked_organization(Text organization_id, const char *argument = nullptr);
// 55P03: another transaction has it locked, and the call does not wait.
Refusal held_by_others(const char *kind, Text id);
[[noreturn]] void raise(const Refusal &refusal);

// printf-style arguments for a Text: "%.*s", FMT_ARG(text)
#define FMT_ARG(text) static_cast<int>((text).size()), (text).data()

} // namespace pg_org
