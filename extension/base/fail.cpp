// The errors of the rules, as standard SQLSTATEs.

#include "fail.hpp"

#include "writer.hpp"

namespace pg_org {

namespace {

// No schema can have this name, so none of PostgreSQL's own errors has it.
constexpr const char *mark = "pg_org";

[[noreturn]] void raise(int sqlstate, const char *message) { pg_org::raise(Refusal{sqlstate, nullptr, message}); }

pg_attribute_printf(1, 0) const char *format_message(const char *format, va_list arguments)
{
    StringInfoData message;
    initStringInfo(&message);
    for (;;) {
        va_list again;
        va_copy(again, arguments);
        const int needed = appendStringInfoVA(&message, format, again);
        va_end(again);
        if (needed == 0)
            return message.data;
        enlargeStringInfo(&message, needed);
    }
}

} // namespace

#define RAISE_FORMATTED(sqlstate)                                                                                      \
    va_list arguments;                                                                                                 \
    va_start(arguments, format);                                                                                       \
    const char *message = format_message(format, arguments);                                                           \
    va_end(arguments);                                                                                                 \
    raise(sqlstate, message)

void invalid(const char *name, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *rule = format_message(format, arguments);
    va_end(arguments);
    raise(invalid_value(name, rule));
}

void missing(const char *name) { raise(missing_value(name)); }

Refusal refusal(int sqlstate, const char *argument, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = format_message(format, arguments);
    va_end(arguments);
    return {sqlstate, argument, message};
}

Refusal invalid_value(const char *name, const char *rule)
{
    return refusal(ERRCODE_INVALID_PARAMETER_VALUE, name, "\"%s\" %s", name, rule);
}

Refusal missing_value(const char *name)
{
    return refusal(ERRCODE_NULL_VALUE_NOT_ALLOWED, name, "\"%s\" is required", name);
}

Refusal unknown_key(const char *argument)
{
    Refusal unknown = refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, argument,
                              "Authentication Error, Invalid proxy server token passed.");
    if (argument != nullptr)
        unknown.detail = psprintf("%s is not known.", argument);
    return unknown;
}

Refusal blocked_key(const char *argument)
{
    return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, argument,
                   "Authentication Error, Key is blocked. Ask an admin to unblock it.");
}

Refusal expired_key(Time since, const char *argument)
{
    return refusal(errcode_expired_key, argument, "Authentication Error - Expired Key. Key Expiry time %s",
                   iso_8601(since));
}

Refusal blocked_team(Text team_id, const char *argument)
{
    return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, argument, "Authentication Error, Team=%.*s is blocked.",
                   FMT_ARG(team_id));
}

Refusal blocked_organization(Text organization_id, const char *argument)
{
    return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, argument,
                   "Authentication Error, Organization=%.*s is blocked.", FMT_ARG(organization_id));
}

Refusal blocked_end_user(Text end_user, const char *argument)
{
    return refusal(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, argument,
                   "Authentication Error, End user=%.*s is blocked.", FMT_ARG(end_user));
}

Refusal held_by_others(const char *kind, Text id)
{
    Refusal refused =
        refusal(ERRCODE_LOCK_NOT_AVAILABLE, nullptr, "Somebody else is changing %s %.*s. Try again", kind, FMT_ARG(id));
    refused.held = psprintf("%s:%.*s", kind, FMT_ARG(id));
    return refused;
}

void raise(const Refusal &refusal)
{
    ereport(ERROR, errcode(refusal.sqlstate), errmsg_internal("%s", refusal.message),
            err_generic_string(PG_DIAG_SCHEMA_NAME, mark),
            refusal.argument != nullptr ? err_generic_string(PG_DIAG_COLUMN_NAME, refusal.argument) : 0,
            refusal.detail != nullptr ? errdetail_internal("%s", refusal.detail) : 0,
            refusal.hint != nullptr ? errhint("%s", refusal.hint) : 0);
    pg_unreachable();
}

void key_required()
{
    raise({.sqlstate = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
           .message = "Authentication Error, No api key passed in.",
           .hint = "Pass api_key => 'sk-...'; only the owner of the tables needs none."});
}

void busy() { raise(ERRCODE_T_R_SERIALIZATION_FAILURE, "Changed by somebody else just now. Try again"); }

void not_as_made(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = format_message(format, arguments);
    va_end(arguments);
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg_internal("%s", message),
            errhint("The tables of schema org, or the functions, are not as org_setup() and the extension make them."));
    pg_unreachable();
}

void null_found() { not_as_made("A value is null that is never null"); }

void stale()
{
    raise({.sqlstate = errcode_stale,
           .argument = "if_match",
           .message = "Changed since: if_match is not its current ETag. Read it again first"});
}

void unauthenticated(const char *format, ...) { RAISE_FORMATTED(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION); }
void forbidden(const char *format, ...) { RAISE_FORMATTED(ERRCODE_INSUFFICIENT_PRIVILEGE); }
void not_found(const char *format, ...) { RAISE_FORMATTED(ERRCODE_NO_DATA_FOUND); }
void exists_already(const char *format, ...) { RAISE_FORMATTED(ERRCODE_UNIQUE_VIOLATION); }
void no_such_reference(const char *format, ...) { RAISE_FORMATTED(ERRCODE_FOREIGN_KEY_VIOLATION); }
void refused(const char *format, ...) { RAISE_FORMATTED(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE); }

} // namespace pg_org
