// Calls: from the arguments to the reply.

#include "session.hpp"

#include "bounds.hpp"
#include "fail.hpp"

namespace pg_org {

namespace {

StringInfo make_reply_buffer()
{
    StringInfo buffer = makeStringInfo();
    // Room for the header of the varlena that the buffer will be returned as.
    appendStringInfoSpaces(buffer, VARHDRSZ);
    return buffer;
}

std::span<const Oid> declared_types(FunctionCallInfo fcinfo)
{
    Oid *types = nullptr;
    int count = 0;
    get_func_signature(fcinfo->flinfo->fn_oid, &types, &count);
    return {types, static_cast<size_t>(std::min<int>(count, PG_NARGS()))};
}

} // namespace

void Row::refuse_column(int column, Oid type) const
{
    if (column >= columns())
        not_as_made("A result has only %d columns", columns());
    const FormData_pg_attribute &attribute = *TupleDescAttr(description_, column);
    not_as_made("Column %s of a result is of type %s, not %s", NameStr(attribute.attname),
                format_type_be(attribute.atttypid), format_type_be(type));
}

void Rows::refuse_row() { not_as_made("A row is gone that a call has just made, locked or found"); }

void Session::refuse_argument(int position, Oid type) const
{
    not_as_made("Argument %d of function %s must be of type %s", position + 1, function_, format_type_be(type));
}

Texts to_texts(Datum array)
{
    Datum *elements = nullptr;
    bool *nulls = nullptr;
    int count = 0;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
    const auto texts = allocate<Text>(count);
    for (int i = 0; i < count; i++)
        texts[i] = nulls[i] ? Text{} : to_text(elements[i]);
    return texts;
}

Datum to_array(Texts texts)
{
    const auto elements = allocate<Datum>(texts.size());
    for (size_t i = 0; i < texts.size(); i++)
        elements[i] = Sql<Text>::to_datum(texts[i]);
    return PointerGetDatum(
        construct_array(elements.data(), static_cast<int>(texts.size()), TEXTOID, -1, false, TYPALIGN_INT));
}

SPIPlanPtr Statement::plan(std::span<const Oid> types)
{
    if (plan_ == nullptr) {
        const int options = planned_ == Planned::once ? CURSOR_OPT_GENERIC_PLAN : CURSOR_OPT_CUSTOM_PLAN;
        SPIPlanPtr plan =
            SPI_prepare_cursor(sql_, static_cast<int>(types.size()), const_cast<Oid *>(types.data()), options);
        if (plan == nullptr || SPI_keepplan(plan) != 0)
            elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
        plan_ = plan;
    }
    return plan_;
}

Texts Rows::texts() const
{
    const auto values = allocate<Text>(size_);
    for (size_t i = 0; i < size_; i++)
        values[i] = *(*this)[i].get<Text>(0);
    return values;
}

Session::Session(FunctionCallInfo fcinfo, Access access, const char *function)
    : reply(make_reply_buffer()), fcinfo(fcinfo), function_(function), read_only_(access == Access::read),
      argument_types_(declared_types(fcinfo))
{
    const Oid owner = tables_owner();
    const bool is_warm_up = access == Access::warm_up;
    int position = PG_NARGS();
    if (!is_warm_up)
        api_key_ = argument<Text>(--position, TEXTOID);
    if (access == Access::write) {
        request_id_ = argument<Text>(--position, TEXTOID);
        idempotency_key_ = argument<Text>(--position, TEXTOID);
    }
    if (!api_key_ && !is_warm_up && !has_privs_of_role(GetUserId(), owner))
        unauthenticated("Authentication Error, No api key passed in.");

    acting_ = act_as(owner);
    SPI_connect();

    caller = api_key_ ? authenticate(*this, *api_key_)
                      : Caller{.role = Role::proxy_admin, .user_id = default_user_id};
    if (!is_warm_up)
        require_bounded_arguments(fcinfo, PG_NARGS() - 1); // the last was api_key
    // Perhaps it was replaced because others have it.
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

// The setting is undone when the function returns or fails.
void set_for_call(const char *name, const char *value)
{
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

} // namespace

void Session::plan_for_look_ups()
{
    for (const char *name :
         {"enable_seqscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "jit"})
        set_for_call(name, "off");
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

Maybe<Json> Session::next_json()
{
    const auto text = argument<Text>(next_argument_++, JSONOID);
    if (!text)
        return {};
    return Json{DirectFunctionCall1(jsonb_in, CStringGetDatum(c_string(*text)))};
}

Rows Session::execute(SPIPlanPtr plan, Datum *values, const char *nulls)
{
    const int result = SPI_execute_plan(plan, values, nulls, read_only_, 0);
    if (result < 0)
        elog(ERROR, "could not run a statement: %s", SPI_result_code_string(result));
    return {SPI_tuptable, SPI_processed};
}

template <typename T> T required(Maybe<T> value, const char *name)
{
    if (!value)
        missing(name);
    return *value;
}
template Text required(Maybe<Text>, const char *);
template Texts required(Maybe<Texts>, const char *);
template Json required(Maybe<Json>, const char *);
template Time required(Maybe<Time>, const char *);
template int64 required(Maybe<int64>, const char *);

Text identifier(Maybe<Text> value, const char *name)
{
    const Text id = required(value, name);
    if (id.empty())
        invalid(name, "must not be empty");
    if (id.size() > max_name_bytes)
        invalid(name, "must be at most %zu bytes long", max_name_bytes);
    return id;
}

Text identifier_or_new(Maybe<Text> value, const char *name)
{
    if (value)
        return identifier(value, name);
    LOCAL_FCINFO(no_arguments, 0);
    InitFunctionCallInfoData(*no_arguments, nullptr, 0, InvalidOid, nullptr, nullptr);
    return to_text(DatumGetCString(DirectFunctionCall1(uuid_out, gen_random_uuid(no_arguments))));
}

Texts fields_to_clear(Maybe<Texts> clear, Texts clearable)
{
    const Texts fields = text_list(clear, "clear").value_or(Texts{});
    for (const Text field : fields)
        if (std::ranges::find(clearable, field) == clearable.end())
            cannot_be_cleared(field);
    return fields;
}

Maybe<Texts> text_list(Maybe<Texts> value, const char *name)
{
    if (value && std::ranges::any_of(*value, [](Text text) { return text.data() == nullptr; }))
        invalid(name, "must not contain null");
    return value;
}

} // namespace pg_org
