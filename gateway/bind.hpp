// The second stage of a request: from named fields to the call of a SQL function, which argument gets which value.
#pragma once

#include "database.hpp"
#include "fields.hpp"
#include "read.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pg_org {

enum class Type { text, text_array, numeric, bigint, boolean, jsonb, json };

std::optional<Type> type_named(std::string_view name);

struct Argument {
    std::string name;
    std::string identifier; // the name as SQL writes it
    Type type;
    bool required;
    std::string default_expression = {}; // in SQL
    std::string comment = {};            // on the column that it is about
};

struct Function {
    std::string identifier; // schema-qualified
    std::vector<Argument> arguments;
    std::string comment = {}; // in its first line a summary
};

using Functions = std::map<std::string, Function, std::less<>>;

// What the database is to be asked.
struct Bound {
    std::vector<FieldError> errors; // if there are some, only whether the key is good: nobody else is told of them
    Statement statement;
    std::size_t after = 0; // of events: which of the statement's values says from where on
    // Or, for a function that takes many such requests at once:
    const Function *many = nullptr;
    std::string object;
};
Bound bind(const Asked &asked, const Functions &functions);

// Required arguments are always bound, null when absent: saying so is the database's to do.  Fields that are no
// argument are left out.  `source` is where the fields were sent, for the location of errors.
Statement bind_arguments(const Function &function, const Fields &fields, std::string_view api_key,
                         std::string_view source, std::vector<FieldError> &errors);

// The arguments but the caller's key as a JSON object, for a function that takes many.  Numbers become strings: one
// that PostgreSQL can't hold must spoil no more than its own request.
std::string bind_object(const Function &function, const Fields &fields, std::string_view source,
                        std::vector<FieldError> &errors);

// The call for many at once, which may wait for what others have locked: each element of the reply is a row.
Statement bind_many(const Function &many, const std::vector<std::string_view> &objects, bool wait,
                    const std::string &api_key);

std::string array_literal(const std::vector<Value> &strings);

// The integer that a number's text stands for ("10", "10.0", "1e3"), if it is one and fits 64 bits.
std::optional<std::string> integer_text(std::string_view text);

} // namespace pg_org
