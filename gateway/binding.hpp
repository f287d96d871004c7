// From named fields to the call of a SQL function: which argument gets which value.
#pragma once

#include "database.hpp"
#include "errors.hpp"
#include "fields.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

enum class Type { text, text_array, numeric, bigint, boolean, jsonb, json };

std::optional<Type> type_named(std::string_view name);

struct Argument {
    std::string name;
    std::string identifier;  // the name as SQL writes it
    Type type;
    bool required;
    std::string default_expression = {};  // in SQL
    std::string comment = {};             // on the column that it is about
};

struct Function {
    std::string identifier;  // schema-qualified
    std::vector<Argument> arguments;
    std::string comment = {};  // in its first line a summary
};

// Required arguments are always bound, null when absent: saying so is the database's to do.  Fields that are no
// argument are left out.  `source` is where the fields were sent, for the location of errors.
Statement bind_arguments(const Function& function, const Fields& fields, std::string_view api_key,
                         std::string_view source, std::vector<FieldError>& errors);

// The arguments but the caller's key as a JSON object, for a function that takes many.  Numbers become strings: one
// that PostgreSQL can't hold must spoil no more than its own request.
std::string bind_object(const Function& function, const Fields& fields, std::string_view source,
                        std::vector<FieldError>& errors);

std::string array_literal(const std::vector<Value>& strings);

// The integer that a number's text stands for ("10", "10.0", "1e3"), if it is one and fits 64 bits.
std::optional<std::string> integer_text(std::string_view text);

}  // namespace pg_org
