#include "bind.hpp"

#include "unbound.hpp"
#include "url.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace pg_org {
namespace {

constexpr double int64_limit = 9223372036854775808.0; // 2^63

struct TypeName {
    Type type;
    std::string_view name;
};

constexpr std::array type_names{
    TypeName{Type::text, "text"},     TypeName{Type::text_array, "text[]"}, TypeName{Type::numeric, "numeric"},
    TypeName{Type::bigint, "bigint"}, TypeName{Type::boolean, "boolean"},   TypeName{Type::jsonb, "jsonb"},
    TypeName{Type::json, "json"},
};

std::string_view name_of(Type type)
{
    return std::find_if(type_names.begin(), type_names.end(), [&](auto &known) { return known.type == type; })->name;
}

std::string_view without_plus(std::string_view text)
{
    return text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
}

// The elements of a list in a query string: commas separate them, unless it is a JSON array, which may have commas in
// its elements. None if it begins like an array and is no array of strings that can be stored.
std::optional<std::vector<Value>> split(std::string_view list)
{
    std::vector<Value> elements;
    if (list.starts_with('[')) {
        const auto array = nlohmann::json::parse(list, nullptr, false);
        if (!array.is_array())
            return std::nullopt;
        for (const auto &element : array) {
            if (!element.is_string() || element.get<std::string>().find('\0') != std::string::npos)
                return std::nullopt;
            elements.push_back({Value::Kind::string, element.get<std::string>(), {}});
        }
        return elements;
    }
    while (!list.empty())
        if (const auto element = take_until(list, ','); !element.empty())
            elements.push_back({Value::Kind::string, std::string{element}, {}});
    return elements;
}

// A number's value as a double.  NaN is plain NaN, without sign or payload; a number out of range is infinity.
std::optional<double> as_double(std::string_view text)
{
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || end != text.data() + text.size() || (std::isnan(value) && text.size() != 3))
        return std::nullopt;
    return error == std::errc::result_out_of_range ? HUGE_VAL : value;
}

// Turns the values of one function's arguments into text, collecting what is wrong with them.
class Binder {
public:
    Binder(std::string_view source, std::vector<FieldError> &errors) : source_{source}, errors_{errors} {}

    std::optional<std::string> text_of(const Argument &argument, const Value &value)
    {
        if (value.kind == Value::Kind::null)
            return std::nullopt;
        argument_ = &argument;
        switch (argument.type) {
        case Type::text: return text(value);
        case Type::text_array: return text_array(value);
        case Type::numeric: return numeric(value);
        case Type::bigint: return bigint(value);
        case Type::boolean: return boolean(value);
        case Type::jsonb:
            return value.kind == Value::Kind::object ? value.text
                                                     : wrong("dict_type", "Input should be a valid dictionary");
        case Type::json: return json_text(value);
        }
        return std::nullopt;
    }

private:
    std::string_view source_;
    std::vector<FieldError> &errors_;
    const Argument *argument_ = nullptr;

    std::string wrong(std::string_view type, std::string_view message)
    {
        errors_.push_back({std::string{type}, {source_, argument_->name}, std::string{message}});
        return {};
    }

    std::string text(const Value &value)
    {
        return value.kind == Value::Kind::string ? value.text : wrong("string_type", "Input should be a valid string");
    }

    std::string text_array(const Value &value)
    {
        if (source_ == "query" && value.kind == Value::Kind::string) {
            const auto elements = split(value.text);
            return elements ? array_literal(*elements) : wrong("list_type", "Input should be a valid list");
        }
        if (value.kind != Value::Kind::array)
            return wrong("list_type", "Input should be a valid list");
        for (std::size_t i = 0; i < value.elements.size() && errors_.size() < max_field_errors; ++i)
            if (value.elements[i].kind != Value::Kind::string) {
                wrong("string_type", "Input should be a valid string");
                errors_.back().location.push_back(i);
            }
        return array_literal(value.elements);
    }

    // The JSON text of any other kind is not a number either.
    std::string numeric(const Value &value)
    {
        const auto number = without_plus(trimmed(value.text, " \t\n\r\f\v"));
        if (!as_double(number))
            return wrong("float_parsing", "Input should be a valid number, unable to parse string as a number");
        return std::string{number};
    }

    std::string bigint(const Value &value)
    {
        const auto number = without_plus(trimmed(value.text, " \t\n\r\f\v"));
        if (auto integer = integer_text(number))
            return *integer;
        const auto approximate = as_double(number);
        if (approximate && std::isfinite(*approximate) && std::abs(*approximate) >= int64_limit)
            return wrong("int_parsing", "Input should be a valid integer of at most 64 bits");
        if (value.kind == Value::Kind::number)
            return wrong("int_from_float", "Input should be a valid integer, got a number with a fractional part");
        return wrong("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
    }

    std::string boolean(const Value &value)
    {
        constexpr std::array<std::string_view, 6> yes{"true", "t", "yes", "y", "on", "1"};
        constexpr std::array<std::string_view, 6> no{"false", "f", "no", "n", "off", "0"};
        std::string word = value.text;
        std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
        if (std::find(yes.begin(), yes.end(), word) != yes.end())
            return "true";
        if (std::find(no.begin(), no.end(), word) != no.end())
            return "false";
        return wrong("bool_parsing", "Input should be a valid boolean, unable to interpret input");
    }
};

// Whether a field may have no value: booleans, lists and objects have one that is empty, except for limits by model.
bool can_be_null(const Function &function, std::string_view name)
{
    const Argument *argument = find_argument(function, name);
    if (!argument || argument->required)
        return false;
    const Type type = argument->type;
    return type == Type::text || type == Type::numeric || type == Type::bigint || type == Type::json ||
           name == "model_max_budget";
}

// Null clears a field on routes whose function has the argument `clear`.  So do fields of an object that stands for
// several, unless they are also sent by themselves.
Fields with_nulls_cleared(const Fields &fields, const Function &function)
{
    Fields result = fields;
    Value &clear = result.try_emplace("clear", Value{Value::Kind::array, "[]", {}}).first->second;
    if (clear.kind == Value::Kind::null)
        clear.kind = Value::Kind::array;
    if (clear.kind != Value::Kind::array) // refused when it is bound
        return result;
    const auto add_nulls = [&](const Fields &among, const Fields &except) {
        for (const auto &[name, value] : among)
            if (value.kind == Value::Kind::null && !except.contains(name) && can_be_null(function, name))
                clear.elements.push_back({Value::Kind::string, name, {}});
    };
    add_nulls(fields, {});
    const auto nested = fields.find("litellm_budget_table");
    if (nested != fields.end() && nested->second.kind == Value::Kind::object &&
        find_argument(function, "litellm_budget_table"))
        add_nulls(read_body(nested->second.text).fields, fields);
    if (clear.elements.empty() && !fields.contains("clear"))
        result.erase("clear");
    return result;
}

// The JSON of an argument that is passed as this text.
std::string json_of(Type type, const Value &value, std::string text)
{
    switch (type) {
    case Type::text:
    case Type::numeric:
    case Type::bigint: return json_text(Value{Value::Kind::string, std::move(text), {}});
    case Type::text_array: return json_text(value);
    case Type::boolean:
    case Type::jsonb:
    case Type::json: break;
    }
    return text;
}

} // namespace

const Argument *find_argument(const Function &function, std::string_view name)
{
    const auto &arguments = function.arguments;
    const auto found = std::find_if(arguments.begin(), arguments.end(),
                                    [&](const Argument &argument) { return argument.name == name; });
    return found == arguments.end() ? nullptr : &*found;
}

std::optional<Type> type_named(std::string_view name)
{
    for (const auto &known : type_names)
        if (known.name == name)
            return known.type;
    return std::nullopt;
}

Bound bind(const Asked &asked, const Functions &functions)
{
    const auto named = [&](std::string_view name) -> const Function & { return functions.find(name)->second; };
    const Function &function = named(asked.route.function);
    auto unbound = sort_out(asked, function);
    Bound bound{asked.errors, {}, {}, nullptr, {}, std::move(unbound.ignored)};
    bound.errors.insert(bound.errors.end(), unbound.errors.begin(), unbound.errors.end());
    if (asked.route.kind == Kind::calls) {
        bound.many = &named(many(asked.route));
        bound.object = bind_object(function, asked.fields, asked.source, bound.errors);
    } else {
        for (const Argument &argument : function.arguments) {
            if (argument.name == "after")
                break;
            bound.after += argument.required || argument.name == "api_key" || asked.fields.contains(argument.name);
        }
        const Fields fields =
            find_argument(function, "clear") ? with_nulls_cleared(asked.fields, function) : asked.fields;
        bound.statement = bind_arguments(function, fields, asked.api_key, asked.source, bound.errors);
    }
    if (!bound.errors.empty()) {
        std::vector<FieldError> none;
        auto key_check = bind_arguments(named(key_check_function), {}, asked.api_key, "query", none);
        return {std::move(bound.errors), std::move(key_check), {}, nullptr, {}, std::move(bound.ignored)};
    }
    if (is_tagged(asked.route))
        bound.statement.sql = "SELECT reply, " + named(tag_function).identifier + "(reply) FROM (" +
                              bound.statement.sql + " AS reply OFFSET 0) AS called";
    return bound;
}

Statement bind_many(const Function &many, const std::vector<std::string_view> &objects, bool wait,
                    const std::string &api_key)
{
    std::string array = "[";
    for (const auto object : objects)
        (array += array.size() > 1 ? "," : "") += object;
    return {"SELECT element.value FROM pg_catalog.json_array_elements(" + many.identifier +
                "(requests => $1::json, wait => $2::boolean, api_key => $3::text))"
                " WITH ORDINALITY AS element (value, position) ORDER BY element.position",
            {array + ']', wait ? "true" : "false", api_key}};
}

Statement bind_arguments(const Function &function, const Fields &fields, std::string_view api_key,
                         std::string_view source, std::vector<FieldError> &errors)
{
    Binder binder{source, errors};
    Statement call{"SELECT " + function.identifier + "(", {}};
    const auto pass = [&](const Argument &argument, std::optional<std::string> value) {
        if (!call.values.empty())
            call.sql += ", ";
        call.values.push_back(std::move(value));
        call.sql += argument.identifier + " => $" + std::to_string(call.values.size()) + "::";
        call.sql += name_of(argument.type);
    };
    for (const Argument &argument : function.arguments) {
        const auto field = fields.find(argument.name);
        if (argument.name == "api_key")
            pass(argument, std::string{api_key});
        else if (field != fields.end())
            pass(argument, binder.text_of(argument, field->second));
        else if (argument.required)
            pass(argument, std::nullopt);
    }
    call.sql += ')';
    return call;
}

std::string bind_object(const Function &function, const Fields &fields, std::string_view source,
                        std::vector<FieldError> &errors)
{
    Binder binder{source, errors};
    std::string object = "{";
    for (const Argument &argument : function.arguments) {
        const auto field = fields.find(argument.name);
        if (argument.name == "api_key" || field == fields.end())
            continue;
        if (auto text = binder.text_of(argument, field->second)) {
            object += object.size() > 1 ? ",\"" : "\"";
            object.append(argument.name).append("\":").append(json_of(argument.type, field->second, std::move(*text)));
        }
    }
    return object + '}';
}

std::string array_literal(const std::vector<Value> &strings)
{
    std::string literal = "{";
    for (const Value &string : strings) {
        literal += literal.size() > 1 ? ",\"" : "\"";
        for (const char c : string.text) {
            if (c == '"' || c == '\\')
                literal += '\\';
            literal += c;
        }
        literal += '"';
    }
    return literal + '}';
}

std::optional<std::string> integer_text(std::string_view text)
{
    std::int64_t integer = 0;
    const char *const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, integer);
    const std::string_view fraction{rest, static_cast<std::size_t>(end - rest)};
    if (error != std::errc{})
        return std::nullopt;
    if (fraction.empty() || (fraction[0] == '.' && fraction.find_first_not_of('0', 1) == fraction.npos))
        return std::to_string(integer);
    const auto value = as_double(text);
    if (value && fraction.find_first_of("eE") != fraction.npos && *value == std::trunc(*value) &&
        std::abs(*value) < int64_limit)
        return std::to_string(static_cast<std::int64_t>(*value));
    return std::nullopt;
}

} // namespace pg_org
