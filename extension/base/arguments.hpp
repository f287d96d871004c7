// The arguments of a call, by name, and what many of them must be.
#pragma once

#include "json.hpp"
#include "statement.hpp"

namespace pg_org {

class Arguments {
public:
    Arguments(FunctionCallInfo fcinfo, const char *function);

    // The argument of that name. It must be declared with T's type: a library of another version than the extension
    // expects other arguments.
    template <typename T> Maybe<T> get(const char *name) const
    {
        const int position = find(name, Sql<T>::type);
        return PG_ARGISNULL(position) ? Maybe<T>{} : Maybe<T>{Sql<T>::from_datum(fcinfo->args[position].value)};
    }
    // An argument of type json, not jsonb.
    Maybe<Value> json(const char *name) const;

    bool contains(Text name) const { return std::ranges::find(names_, name) != names_.end(); }

    // By position, from 0.
    size_t size() const { return types_.size(); }
    const char *name(size_t position) const { return names_[position]; }
    Oid type(size_t position) const { return types_[position]; }
    Maybe<Datum> datum(size_t position) const
    {
        const NullableDatum &argument = fcinfo->args[position];
        return argument.isnull ? Maybe<Datum>{} : Maybe<Datum>{argument.value};
    }

private:
    int find(const char *name, Oid type) const;

    FunctionCallInfo fcinfo; // named as the PG_ARG macros want it
    const char *function_;
    // As the function is declared.
    std::span<const Oid> types_;
    std::span<const char *const> names_;
};

// The value, or an error naming the argument.
template <typename T> T required(Maybe<T> value, const char *name);
// The text unless it is empty: forms send an empty string when nothing was chosen.
inline Maybe<Text> not_empty(Maybe<Text> text) { return text && !text->empty() ? text : Maybe<Text>{}; }
// The same for a JSON string or null.
inline Maybe<Text> optional_text(const Value &value)
{
    return value.is_null() ? Maybe<Text>{} : not_empty(value.as_text());
}
// An identifier people choose: required, not empty, at most 255 bytes.
Text identifier(Maybe<Text> value, const char *name);
// The same; a new UUID if it is left out.
Text identifier_or_new(Maybe<Text> value, const char *name);
// A list of strings without nulls.
Maybe<Texts> text_list(Maybe<Texts> value, const char *name);

} // namespace pg_org
