// Calls: from the arguments to the reply.

#include "session.hpp"

#include "bounds.hpp"
#include "fail.hpp"
#include "route.hpp"

namespace pg_org {

namespace {

StringInfo make_reply_buffer()
{
    StringInfo buffer = makeStringInfo();
    // Room for the varlena header: the buffer is returned as it is.
    appendStringInfoSpaces(buffer, VARHDRSZ);
    return buffer;
}

} // namespace

Session::Session(FunctionCallInfo fcinfo, Access access, const char *function)
    : reply(make_reply_buffer()), function_(function), read_only_(access == Access::read), arguments_(fcinfo, function)
{
    const Oid owner = tables_owner();
    const bool is_warm_up = access == Access::warm_up;
    if (!is_warm_up)
        api_key_ = argument<Text>("api_key");
    if (access == Access::write) {
        request_id_ = argument<Text>("request_id");
        idempotency_key_ = argument<Text>("idempotency_key");
    }
    if (!api_key_ && !is_warm_up && !has_privs_of_role(GetUserId(), owner))
        key_required();

    acting_ = act_as(owner);
    SPI_connect();

    caller = api_key_ ? authenticate(*this, *api_key_) : Caller{.role = Role::proxy_admin, .user_id = default_user_id};
    if (!is_warm_up) {
        require_route(caller, to_text(function));
        require_bounded_arguments(arguments_);
    }
    // It may have been replaced because it leaked.
    if (access == Access::write && caller.by_old_secret)
        forbidden("A secret that was replaced can only read and call models: use the new one. Your role is = %s",
                  role_name(caller.role));
    if (!read_only_)
        describe_call({});
    if (idempotency_key_)
        look_for_repetition();
}

Datum Session::finish()
{
    if (idempotency_key_ && !repeated_)
        remember_reply();
    SPI_finish();
    act_as_before(acting_);
    StringInfo buffer = reply.buffer();
    SET_VARSIZE(buffer->data, buffer->len);
    return PointerGetDatum(buffer->data);
}

Time Session::made_at()
{
    if (!made_at_)
        made_at_ = Time{GetCurrentTimestamp()};
    return *made_at_;
}

void Session::look_up_caller_again()
{
    if (api_key_ && !have_same_rights(caller, authenticate(*this, *api_key_)))
        busy();
}

void Session::audit_as(Text organization_id) { describe_call(organization_id); }

namespace {

// PostgreSQL restores the setting when the function returns or fails.
void set_for_call(const char *name, const char *value)
{
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

void plan_for_indexes()
{
    for (const char *name :
         {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit"})
        set_for_call(name, "off");
}

} // namespace

// Of the indexes of an empty partition none seems better than others, unless conditions that an index does not answer
// cost something.
void Session::plan_for_look_ups()
{
    plan_for_indexes();
    set_for_call("cpu_operator_cost", "1");
}

void Session::plan_for_first_rows()
{
    plan_for_indexes();
    set_for_call("enable_sort", "off");
}

void Session::describe_call(Maybe<Text> organization_id)
{
    Writer call{makeStringInfo()};
    const auto member = [&](const char *name, Maybe<Text> text) {
        if (text)
            call.key(name).value(*text);
    };
    call.begin_object();
    member("action", to_text(function_));
    member("user_id", caller.user_id);
    member("key_id", caller.key_id);
    member("key_made_by", caller.key_made_by);
    member("request_id", request_id_);
    member("organization_id", organization_id);
    call.end_object();
    set_for_call("pg_org.call", call.buffer()->data);
}

} // namespace pg_org
