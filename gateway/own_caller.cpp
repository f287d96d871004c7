#include "own_caller.hpp"

#include "bind.hpp"

#include <stdexcept>
#include <utility>
#include <vector>

namespace pg_org {

OwnCaller::OwnCaller(Database &database, const Catalog &catalog, std::string api_key)
    : database_{database}, catalog_{catalog}, api_key_{std::move(api_key)}
{
}

std::optional<std::string> OwnCaller::call(std::string_view function, const Fields &fields) const
{
    const auto functions = catalog_.functions();
    if (!functions)
        return std::nullopt;
    const auto found = functions->find(function);
    if (found == functions->end())
        throw std::runtime_error{"extension pg_org has no function " + std::string{function}};
    std::vector<FieldError> none;
    return database_.run(bind_arguments(found->second, fields, api_key_, "body", none)).at(0).at(0);
}

} // namespace pg_org
