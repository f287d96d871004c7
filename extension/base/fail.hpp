// Saying no: one function for each row of the table of errors.  The message is
// what HTTP clients read; it never holds a secret.  The error's schema name is pg_org: by that the gateway knows that
// a rule says no, not PostgreSQL itself.
#pragma once

#include "types.hpp"

namespace pg_org {

// 22023: "name" followed by what its value must be.  The name may be a path, as in member.0.role.
[[noreturn]] void invalid(const char *name, const char *format, ...) pg_attribute_printf(2, 3);
// 22023: an argument `clear` names what is not to be cleared.
[[noreturn]] void cannot_be_cleared(Text field);
// 22004: a required field was left out.
[[noreturn]] void missing(const char *name);
// 28000: the key itself is no good.
[[noreturn]] void unauthenticated(const char *format, ...) pg_attribute_printf(1, 2);
// 28EXP: the key was good once.
[[noreturn]] void expired(Time since);
// 42501: this caller may not.
[[noreturn]] void forbidden(const char *format, ...) pg_attribute_printf(1, 2);
// P0002: there is no such thing.
[[noreturn]] void not_found(const char *format, ...) pg_attribute_printf(1, 2);
// 23505: there is such a thing already.
[[noreturn]] void exists_already(const char *format, ...) pg_attribute_printf(1, 2);
// 23503: the request names something that is not there.
[[noreturn]] void no_such_reference(const char *format, ...) pg_attribute_printf(1, 2);
// 40001: something came between that can't be locked any more in the fixed order; the same again will work.
[[noreturn]] void busy();
// 55ETG: what is to be changed is no longer what the caller last saw.
[[noreturn]] void stale();
// 55000: a rule says no for another reason.
[[noreturn]] void refused(const char *format, ...) pg_attribute_printf(1, 2);

// 55000, but of no rule: the owner of the tables, or of the functions, has made of them what can't be read.
[[noreturn]] void not_as_made(const char *format, ...) pg_attribute_printf(1, 2);

// SQLSTATEs of our own, of refusals that clients tell apart.
inline constexpr int errcode_expired_key = MAKE_SQLSTATE('2', '8', 'E', 'X', 'P');
inline constexpr int errcode_model_denied = MAKE_SQLSTATE('2', '8', 'M', 'O', 'D');
inline constexpr int errcode_rate_limit = MAKE_SQLSTATE('5', '3', 'R', 'A', 'T');
inline constexpr int errcode_stale = MAKE_SQLSTATE('5', '5', 'E', 'T', 'G');

// A refusal of one request among many: told, not raised.
struct Refusal {
    int sqlstate;
    const char *argument; // that it is about, null: none; of an error raised it is the column's name
    const char *message;
    const char *detail = nullptr, *hint = nullptr;
    const char *held = nullptr; // what somebody else has locked, as kind:id; the same request later may do
};
Refusal refusal(int sqlstate, const char *argument, const char *format, ...) pg_attribute_printf(3, 4);
// As invalid(), missing() and expired() put it.
Refusal invalid_value(const char *name, const char *rule);
Refusal missing_value(const char *name);
Refusal expired_key(Time since);
// The key that a request names, not the caller's.
Refusal unknown_key();
// 55P03: somebody else has it locked, and the call is not to wait.
Refusal held_by_others(const char *kind, Text id);
// Raises it after all: it was the only one.
[[noreturn]] void raise(const Refusal &refusal);

// printf-style arguments for a Text: "%.*s", FMT_ARG(text)
#define FMT_ARG(text) static_cast<int>((text).size()), (text).data()

} // namespace pg_org
