// Catching refusals. This is the only place that catches errors: nothing in it has a destructor.

#include "attempt.hpp"

#include "fail.hpp"

namespace pg_org {

namespace {

bool ends_call(const ErrorData &error)
{
    const Text state = to_text(unpack_sql_state(error.sqlerrcode));
    const bool is_refusal = error.schema_name != nullptr && to_text(error.schema_name) == "pg_org";
    const bool is_of_caller = state.starts_with("28") && error.sqlerrcode != errcode_team_permission;
    return !is_refusal || is_of_caller || error.sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

} // namespace

Maybe<Refusal> attempt(void (*rule)(void *), void *argument)
{
    const MemoryContext context = CurrentMemoryContext;
    const ResourceOwner resources = CurrentResourceOwner;
    ErrorData *volatile error = nullptr;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        rule(argument);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = resources;
    if (error == nullptr)
        return {};
    if (ends_call(*error))
        ReThrowError(error);
    return Refusal{error->sqlerrcode, error->column_name, error->message};
}

} // namespace pg_org
