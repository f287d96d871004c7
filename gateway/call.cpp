#include "call.hpp"

#include "observation.hpp"

#include <algorithm>
#include <stdexcept>

namespace pg_org {
namespace {

bool has_refusal(const std::vector<Row> &elements)
{
    return std::any_of(elements.begin(), elements.end(), [](const Row &row) {
        return is_refusal(row.at(0)) && read_refusal(row.at(0)).error.depends_on_data();
    });
}

} // namespace

Caller::Caller(const Config &config, Database &database)
    : database_{database}, replicas_{config}, listeners_{config.listener.threads / 4},
      batches_{config.pool_timeout + config.statement_timeout}, batching_{!config.no_batching}
{
}

Answer Caller::call(const Asked &asked, const Bound &bound)
{
    // Also notes a call that fails: the change may have been made and only its reply lost.
    const struct NoteWrite {
        Replicas &replicas;
        const Asked &asked;
        ~NoteWrite()
        {
            if (changes_data(asked.route))
                replicas.note_write(asked.api_key);
        }
    } note_write{replicas_, asked};
    auto answer = bound.many                                                 ? call_with_others(asked, bound)
                  : asked.route.kind == Kind::events && bound.errors.empty() ? listen(asked, bound)
                                                                             : call_alone(asked, bound);
    answer.errors = bound.errors;
    answer.ignored = bound.ignored;
    trace().key_is_good = !answer.refusal || !answer.refusal->error.sqlstate.starts_with("28");
    return answer;
}

Answer Caller::call_alone(const Asked &asked, const Bound &bound)
{
    auto rows = may_be_stale(asked.route) ? replicas_.run(bound.statement, asked.api_key) : std::nullopt;
    if (!rows)
        rows = changes_data(asked.route) ? database_.change(bound.statement) : database_.run(bound.statement);
    Row &row = rows->at(0);
    return {{200, std::move(row.at(0))}, row.size() > 1 ? std::move(row.at(1)) : std::string{}};
}

Answer Caller::call_with_others(const Asked &asked, const Bound &bound)
{
    const auto call_all = [&](const Batches::Requests &objects, bool wait) {
        auto rows = database_.change(bind_many(*bound.many, objects, wait, asked.api_key), has_refusal);
        if (rows.size() != objects.size())
            throw std::runtime_error{bound.many->identifier + " did not answer each request"};
        std::vector<std::string> elements;
        elements.reserve(rows.size());
        for (Row &row : rows)
            elements.push_back(std::move(row.at(0)));
        return elements;
    };
    auto element = batching_ ? batches_.ask(bound.many->identifier + ' ' + asked.api_key, bound.object, call_all)
                             : std::move(call_all({bound.object}, true).front());
    if (is_refusal(element))
        return {{}, {}, read_refusal(element)};
    return {{200, std::move(element)}};
}

// Repeats the call, each time from the last event on.
Answer Caller::listen(const Asked &asked, const Bound &bound)
{
    const auto read = [this, statement = bound.statement, place = bound.after](const std::string &after) mutable {
        if (!after.empty())
            statement.values.at(place) = after;
        return std::move(database_.run(statement).at(0).at(0));
    };
    return {asked.is_stream ? listeners_.stream(read) : listeners_.poll(read, asked.wait)};
}

} // namespace pg_org
