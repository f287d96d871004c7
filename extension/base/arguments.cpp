// Finding arguments, and the checks that many of them share.

#include "arguments.hpp"

#include "bounds.hpp"
#include "fail.hpp"

namespace pg_org {

Arguments::Arguments(FunctionCallInfo fcinfo, const char *function) : fcinfo(fcinfo), function_(function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(fcinfo->flinfo->fn_oid));
    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for function %u", fcinfo->flinfo->fn_oid);
    Oid *types = nullptr;
    char **names = nullptr;
    char *modes = nullptr;
    const int count = get_func_arg_info(tuple, &types, &names, &modes);
    ReleaseSysCache(tuple);
    const auto size = static_cast<size_t>(names == nullptr ? 0 : std::min<int>(count, PG_NARGS()));
    types_ = {types, size};
    names_ = {names, size};
}

int Arguments::find(const char *name, Oid type) const
{
    const auto is_it = [name](const char *other) { return strcmp(name, other) == 0; };
    const auto position = static_cast<size_t>(std::ranges::find_if(names_, is_it) - names_.begin());
    if (position == size() || types_[position] != type)
        not_as_made("Function %s must have an argument %s of type %s", function_, name, format_type_be(type));
    return static_cast<int>(position);
}

Maybe<Value> Arguments::json(const char *name) const
{
    const int position = find(name, JSONOID);
    if (PG_ARGISNULL(position))
        return {};
    const Text text = to_text(fcinfo->args[position].value);
    return to_value({DirectFunctionCall1(jsonb_in, CStringGetDatum(c_string(text)))}, name);
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
template Value required(Maybe<Value>, const char *);
template Time required(Maybe<Time>, const char *);
template int64 required(Maybe<int64>, const char *);
template Number required(Maybe<Number>, const char *);

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

Maybe<Texts> text_list(Maybe<Texts> value, const char *name)
{
    if (value && std::ranges::any_of(*value, [](Text text) { return text.data() == nullptr; }))
        invalid(name, "must not contain null");
    return value;
}

} // namespace pg_org
