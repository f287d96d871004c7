#include "batch.hpp"

#include "reply.hpp"

#include <algorithm>
#include <future>
#include <optional>

namespace pg_org {
namespace {

// To be asked again alone: what failed may be another's fault.
struct Alone {};

// What failures begin with that are the same for each request: the caller's key is refused, the database is away or
// overloaded, or what was waited for was not released in time.
bool is_common(const DatabaseError &error, bool waited)
{
    const auto is = [&](std::string_view start) { return error.sqlstate.starts_with(start); };
    return is("08") || is("28") || is("42501") || is("53") || is("57014") || is("57P") || (waited && is("55P03"));
}

} // namespace

struct Batches::Waiting {
    const std::string_view request;                        // its thread's
    std::promise<std::optional<std::string>> outcome = {}; // null: the next batch is this thread's to ask for
    bool is_called = false;                                // its outcome is coming
};

std::string Batches::ask(const std::string &kind, std::string_view request, const Answer &answer)
{
    auto element = ask(kind, request, answer, false);
    const auto held = held_by(element);
    return held ? ask(kind + '\n' + *held, request, answer, true) : element;
}

// A request that is on its way is waited for as long as the database may take, whatever the time: what is not known to
// have been left undone must not be said to be.
std::string Batches::ask(const std::string &kind, std::string_view request, const Answer &answer, bool wait)
try {
    const auto mine = std::make_shared<Waiting>(Waiting{request});
    auto outcome = mine->outcome.get_future();
    std::unique_lock lock{mutex_};
    const auto [queue, is_first] = queues_.try_emplace(kind);
    queue->second.push_back(mine);
    lock.unlock();
    if (!is_first) {
        if (outcome.wait_for(patience_) == std::future_status::timeout && withdraw(kind, *mine))
            throw DatabaseError{std::string{sqlstate::too_many_connections}, "batch queue", true,
                                "the batches before took too long"};
        if (auto element = outcome.get())
            return *std::move(element);
    }
    return lead(kind, answer, wait);
} catch (const Alone &) {
    return std::move(answer({request}, wait).front());
}

std::size_t Batches::waiting() const
{
    const std::lock_guard lock{mutex_};
    std::size_t count = 0;
    for (const auto &[kind, queue] : queues_)
        count += queue.size();
    return count;
}

bool Batches::withdraw(const std::string &kind, const Waiting &waiting)
{
    const std::lock_guard lock{mutex_};
    if (waiting.is_called)
        return false;
    std::erase_if(queues_.at(kind), [&](const auto &queued) { return queued.get() == &waiting; });
    return true;
}

// Asks for those that wait, of which this thread's is the first, and gives all others their outcomes.
std::string Batches::lead(const std::string &kind, const Answer &answer, bool wait)
{
    const Queue batch = take(kind);
    std::vector<std::string> elements;
    std::exception_ptr failure;
    try {
        Requests requests;
        for (const auto &waiting : batch)
            requests.push_back(waiting->request);
        elements = answer(requests, wait);
    } catch (const DatabaseError &error) {
        const bool is_ours = batch.size() == 1 || is_common(error, wait);
        failure = is_ours ? std::current_exception() : std::make_exception_ptr(Alone{});
    } catch (...) {
        failure = std::current_exception();
    }
    call_next(kind); // before this batch's threads are woken, so that the database is not kept waiting
    for (std::size_t i = 1; i < batch.size(); ++i)
        failure ? batch[i]->outcome.set_exception(failure) : batch[i]->outcome.set_value(std::move(elements[i]));
    if (failure)
        std::rethrow_exception(failure);
    return std::move(elements.front());
}

Batches::Queue Batches::take(const std::string &kind)
{
    const std::lock_guard lock{mutex_};
    Queue &queue = queues_.at(kind);
    Queue batch;
    std::size_t bytes = 0;
    while (batch.size() < std::min(queue.size(), most_in_batch)) {
        const auto &next = queue[batch.size()];
        bytes += next->request.size();
        if (!batch.empty() && bytes > most_bytes_in_batch)
            break;
        next->is_called = true;
        batch.push_back(next);
    }
    queue.erase(queue.begin(), queue.begin() + static_cast<std::ptrdiff_t>(batch.size()));
    return batch;
}

void Batches::call_next(const std::string &kind)
{
    std::unique_lock lock{mutex_};
    const auto queue = queues_.find(kind);
    if (queue->second.empty()) {
        queues_.erase(queue);
        return;
    }
    const auto next = queue->second.front();
    next->is_called = true;
    lock.unlock();
    next->outcome.set_value(std::nullopt);
}

} // namespace pg_org
