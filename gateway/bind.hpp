// The second stage of a request: turns named fields into the call of a SQL function.
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
    std::string comment = {};            // on the column it stands for
};

struct Function {
    std::string identifier; // schema-qualified
    std::vector<Argument> arguments;
    std::string comment = {}; // its first line is a summary
};

// The argument of this name, if the function has one.
const Argument *find_argument(const Function &function, std::string_view name);

using Functions = std::map<std::string, Function, std::less<>>;

// The call to make.
struct Bound {
    std::vector<FieldError> errors; // if any, the call only checks the key: only its holder may see them
    Statement statement;
    std::size_t after = 0; // for events: which of the statement's values is `after`
    // Or, for a function that takes a batch:
    const Function *many = nullptr;
    std::string object;
    std::vector<std::string> ignored = {}; // fields that are not arguments
};
Bound bind(const Asked &asked, const Functions &functions);

// Binds an absent required argument as null: the database refuses it.  Leaves out fields that are not arguments.
// `source` is where the fields were sent, for the location of errors.
Statement bind_arguments(const Function &function, const Fields &fields, std::string_view api_key,
                         std::string_view source, std::vector<FieldError> &errors);

// The arguments without the caller's key as a JSON object, for a function that takes a batch.  Numbers become strings,
// so that one that PostgreSQL can't hold fails only its own request.
std::string bind_object(const Function &function, const Fields &fields, std::string_view source,
                        std::vector<FieldError> &errors);

// The call for a batch, which may wait for locks; each element of the reply is a row.
Statement bind_many(const Function &many, const std::vector<std::string_view> &objects, bool wait,
                    const std::string &api_key);

std::string array_literal(const std::vector<Value> &strings);

// The integer that a number's text stands for ("10", "10.0", "1e3"), if it is one and fits 64 bits.
std::optional<std::string> integer_text(std::string_view text);

} // namespace pg_org
