// Requests that wait for each other, and those that must not.
#include "batch.hpp"

#include "database.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <limits>
#include <set>
#include <thread>

using namespace pg_org;
using namespace std::chrono_literals;

namespace {

using Texts = std::vector<std::string>;

DatabaseError failure(std::string_view sqlstate) { return {std::string{sqlstate}, "m", false, "m"}; }

// Answers "x" with "[x]" once it is let to, and remembers what it was asked.  What begins with an exclamation mark
// makes all that is asked with it fail, with the SQLSTATE behind the mark.  What has a colon needs what is named before
// it: while that is locked it is refused, and who waits for it does so until it is unlocked.
class FakeDatabase {
public:
    Batches::Answer answer()
    {
        return [this](const Batches::Requests &requests, bool wait) {
            return run({requests.begin(), requests.end()}, wait);
        };
    }

    void lock(const std::string &name)
    {
        const std::lock_guard lock{mutex_};
        locked_.insert(name);
    }
    void unlock(const std::string &name)
    {
        const std::lock_guard lock{mutex_};
        locked_.erase(name);
        changed_.notify_all();
    }

    void hold() { let(0); }
    void let_one_go() { let(1); }
    void let_go() { let(std::numeric_limits<int>::max()); }

    void wait_until_asked(std::size_t times) { wait_until(asked_, times); }
    void wait_until_asked_waiting(std::size_t times) { wait_until(asked_waiting_, times); }
    // Until it was asked for these without waiting, in whatever batches.
    void wait_until_asked_for(const Texts &requests)
    {
        const auto is_asked = [&](const std::string &request) {
            return std::any_of(asked_.begin(), asked_.end(), [&](const Texts &batch) {
                return std::find(batch.begin(), batch.end(), request) != batch.end();
            });
        };
        std::unique_lock lock{mutex_};
        ASSERT_TRUE(
            changed_.wait_for(lock, 10s, [&] { return std::all_of(requests.begin(), requests.end(), is_asked); }));
    }

    // Without waiting, and waiting.
    std::vector<Texts> asked()
    {
        const std::lock_guard lock{mutex_};
        return asked_;
    }
    std::vector<Texts> asked_waiting()
    {
        const std::lock_guard lock{mutex_};
        return asked_waiting_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int may_go_ = std::numeric_limits<int>::max();
    std::vector<Texts> asked_, asked_waiting_;
    std::set<std::string> locked_;

    void wait_until(const std::vector<Texts> &asked, std::size_t times)
    {
        std::unique_lock lock{mutex_};
        ASSERT_TRUE(changed_.wait_for(lock, 10s, [&] { return asked.size() >= times; }));
    }

    void let(int may_go)
    {
        {
            const std::lock_guard lock{mutex_};
            may_go_ = may_go;
        }
        changed_.notify_all();
    }

    // Names the lock that it needs, if another transaction has it.
    std::string needed(const std::string &request) const
    {
        const auto name = request.substr(0, request.find(':'));
        return name != request && locked_.contains(name) ? name : "";
    }

    Texts run(Texts requests, bool wait)
    {
        std::unique_lock lock{mutex_};
        (wait ? asked_waiting_ : asked_).push_back(requests);
        changed_.notify_all();
        if (wait) {
            changed_.wait(lock, [&] {
                return std::all_of(requests.begin(), requests.end(),
                                   [&](const auto &request) { return needed(request).empty(); });
            });
        } else {
            changed_.wait(lock, [&] { return may_go_ > 0; });
            --may_go_;
        }
        for (std::string &request : requests) {
            const auto fault = request.rfind('!');
            if (request == "!")
                throw std::runtime_error{"not of the database"};
            if (fault == 0 || (wait && fault != request.npos))
                throw failure(request.substr(fault + 1));
            const auto held = needed(request);
            request = held.empty() ? "[" + request + "]" : R"({"error":{"held":")" + held + R"("}})";
        }
        return requests;
    }
};

class BatchTest : public testing::Test {
protected:
    FakeDatabase database;
    Batches batches{10s};

    // The answer, or what was thrown.
    std::string ask(const std::string &request, const std::string &kind = "kind")
    {
        try {
            return batches.ask(kind, request, database.answer());
        } catch (const DatabaseError &error) {
            return error.sqlstate;
        } catch (const std::exception &) {
            return "exception";
        }
    }

    std::future<std::string> start(const std::string &request, const std::string &kind = "kind")
    {
        return std::async(std::launch::async, [=, this] { return ask(request, kind); });
    }

    // Started one after the other, so that they wait in this order.
    std::vector<std::future<std::string>> queue_up(const Texts &requests)
    {
        std::vector<std::future<std::string>> answers;
        for (const std::string &request : requests) {
            const auto before = batches.waiting();
            answers.push_back(start(request));
            while (batches.waiting() == before)
                std::this_thread::sleep_for(1ms);
        }
        return answers;
    }

    // Started together, and waiting for what is locked: in the first queue they would be asked for once more.
    std::vector<std::future<std::string>> start_held(const Texts &requests)
    {
        std::vector<std::future<std::string>> answers;
        for (const std::string &request : requests)
            answers.push_back(start(request));
        database.wait_until_asked_for(requests);
        while (batches.waiting() < requests.size())
            std::this_thread::sleep_for(1ms);
        return answers;
    }

    // The outcomes of requests that go to the database together, behind one that is there already.
    Texts ask_together(const Texts &requests)
    {
        const auto asked_before = database.asked().size();
        database.hold();
        auto first = start("first");
        database.wait_until_asked(asked_before + 1);
        auto answers = queue_up(requests);
        database.let_go();
        EXPECT_EQ(first.get(), "[first]");
        Texts results;
        for (auto &answer : answers)
            results.push_back(answer.get());
        EXPECT_EQ(batches.waiting(), 0u);
        return results;
    }
};

Texts numbered(int count)
{
    Texts texts;
    for (int i = 0; i < count; ++i)
        texts.push_back(std::to_string(i));
    return texts;
}

} // namespace

TEST_F(BatchTest, AtRestEachGoesAlone)
{
    for (const std::string &request : numbered(3))
        EXPECT_EQ(ask(request), "[" + request + "]");
    EXPECT_EQ(database.asked(), (std::vector<Texts>{{"0"}, {"1"}, {"2"}}));
}

TEST_F(BatchTest, NewcomersWaitForWhatIsUnderWayAndGoTogether)
{
    EXPECT_EQ(ask_together({"a", "b", "c"}), (Texts{"[a]", "[b]", "[c]"}));
    EXPECT_EQ(database.asked(), (std::vector<Texts>{{"first"}, {"a", "b", "c"}}));
}

TEST_F(BatchTest, HasABound)
{
    const auto requests = numbered(max_in_batch + 10);
    const auto answers = ask_together(requests);
    for (std::size_t i = 0; i < requests.size(); ++i)
        EXPECT_EQ(answers[i], "[" + requests[i] + "]");
    ASSERT_EQ(database.asked().size(), 3u);
    EXPECT_EQ(database.asked()[1], Texts(requests.begin(), requests.begin() + max_in_batch));
    EXPECT_EQ(database.asked()[2], Texts(requests.begin() + max_in_batch, requests.end()));
}

TEST_F(BatchTest, HasABoundInBytesButForOne)
{
    const std::string half(max_bytes_in_batch / 2, 'h'), huge(max_bytes_in_batch + 1, 'x');
    ask_together({half, half, "a", huge, "b"});
    EXPECT_EQ(database.asked(), (std::vector<Texts>{{"first"}, {half, half}, {"a"}, {huge}, {"b"}}));
}

TEST_F(BatchTest, KindsDoNotWaitForEachOther)
{
    database.hold();
    auto one = start("a", "one"), other = start("b", "other");
    database.wait_until_asked(2);
    EXPECT_EQ(batches.waiting(), 0u);
    database.let_go();
    EXPECT_EQ(one.get(), "[a]");
    EXPECT_EQ(other.get(), "[b]");
}

TEST_F(BatchTest, OneRequestsFailureHarmsNoOther)
{
    for (const std::string sqlstate : {"22P02", "23514", "42883", "40001", "54000", "55P03", "XX000"})
        EXPECT_EQ(ask_together({"a", "!" + sqlstate, "b", "c"}), (Texts{"[a]", sqlstate, "[b]", "[c]"}));
    auto asked = database.asked();
    ASSERT_EQ(asked.size(), 6u * 7);
    EXPECT_EQ(asked[1], (Texts{"a", "!22P02", "b", "c"}));
    std::sort(asked.begin() + 2, asked.begin() + 6);
    EXPECT_EQ(std::vector(asked.begin() + 2, asked.begin() + 6), (std::vector<Texts>{{"!22P02"}, {"a"}, {"b"}, {"c"}}));
}

TEST_F(BatchTest, AFailureOfTheKeyOrTheDatabaseIsEverybodys)
{
    const Texts all{"28000", "28EXP", "42501", "08006", "08001", "53300", "57P01", "57014"};
    for (const std::string &sqlstate : all)
        EXPECT_EQ(ask_together({"a", "!" + sqlstate, "b"}), Texts(3, sqlstate));
    EXPECT_EQ(database.asked().size(), 2 * all.size()) << "nothing was asked again";
}

TEST_F(BatchTest, AloneAFailureIsAskedOnce)
{
    EXPECT_EQ(ask("!22P02"), "22P02");
    EXPECT_EQ(database.asked().size(), 1u);
}

TEST_F(BatchTest, GoesOnAfterAnyFailure)
{
    EXPECT_EQ(ask_together({"a", "!", "b"}), Texts(3, "exception"));
    EXPECT_EQ(ask("a"), "[a]");
}

TEST_F(BatchTest, WaitsForItsTurnNoLongerThanPatienceLasts)
{
    Batches impatient{20ms};
    database.hold();
    auto first = std::async(std::launch::async, [&] { return impatient.ask("kind", "first", database.answer()); });
    database.wait_until_asked(1);
    try {
        impatient.ask("kind", "late", database.answer());
        ADD_FAILURE() << "it was not its turn";
    } catch (const DatabaseError &error) {
        EXPECT_EQ(error.sqlstate, sqlstate::too_many_connections);
        EXPECT_TRUE(error.internal);
    }
    database.let_go();
    EXPECT_EQ(first.get(), "[first]") << "what is under way is waited for";
    EXPECT_EQ(database.asked(), std::vector<Texts>{{"first"}}) << "what was given up is not done";
    EXPECT_EQ(impatient.ask("kind", "next", database.answer()), "[next]");
}

TEST_F(BatchTest, WhatIsUnderWayIsWaitedForLonger)
{
    constexpr auto patience = 500ms;
    Batches impatient{patience};
    const auto start = [&](const std::string &request) {
        return std::async(std::launch::async,
                          [&, request] { return impatient.ask("kind", request, database.answer()); });
    };
    database.hold();
    auto first = start("first");
    database.wait_until_asked(1);
    auto second = start("second"), third = start("third");
    while (impatient.waiting() < 2)
        std::this_thread::sleep_for(1ms);
    database.let_one_go();
    database.wait_until_asked(2);
    std::this_thread::sleep_for(2 * patience);
    database.let_go();
    EXPECT_EQ(first.get() + second.get() + third.get(), "[first][second][third]");
}

TEST_F(BatchTest, WhatIsHeldHoldsUpNobodyElse)
{
    database.lock("acme");
    auto held = start("acme:1");
    database.wait_until_asked_waiting(1);
    EXPECT_EQ(ask("bolt:1"), "[bolt:1]");
    database.hold();
    auto first = start("first");
    database.wait_until_asked(3);
    auto answers = queue_up({"a", "acme:2", "b"});
    database.let_go();
    EXPECT_EQ(first.get() + answers[0].get() + answers[2].get(), "[first][a][b]");
    EXPECT_EQ(database.asked().back(), (Texts{"a", "acme:2", "b"})) << "it was with the others";
    EXPECT_EQ(held.wait_for(0s), std::future_status::timeout);
    EXPECT_EQ(answers[1].wait_for(0s), std::future_status::timeout);
    database.unlock("acme");
    EXPECT_EQ(held.get() + answers[1].get(), "[acme:1][acme:2]");
}

TEST_F(BatchTest, WhatIsHeldWaitsTogetherForEachThing)
{
    for (const auto *name : {"acme", "bolt"})
        database.lock(name);
    auto acme = start("acme:0"), bolt = start("bolt:0");
    database.wait_until_asked_waiting(2);
    auto late = Texts{"acme:1", "bolt:1", "acme:2", "acme:3"};
    auto answers = start_held(late);
    EXPECT_EQ(database.asked_waiting().size(), 2u) << "one call at a time for each";
    database.unlock("bolt");
    EXPECT_EQ(bolt.get() + answers[1].get(), "[bolt:0][bolt:1]");
    EXPECT_EQ(acme.wait_for(0s), std::future_status::timeout);
    database.unlock("acme");
    EXPECT_EQ(acme.get(), "[acme:0]");
    for (const int i : {0, 2, 3})
        EXPECT_EQ(answers[i].get(), "[" + late[i] + "]");
    auto asked = database.asked_waiting();
    ASSERT_EQ(asked.size(), 4u);
    std::sort(asked[3].begin(), asked[3].end());
    EXPECT_EQ(asked[3], (Texts{"acme:1", "acme:2", "acme:3"}));
}

TEST_F(BatchTest, WhatIsNotReleasedInTimeIsRefusedToAllWhoWaited)
{
    database.lock("acme");
    auto first = start("acme:0");
    database.wait_until_asked_waiting(1);
    auto others = start_held({"acme:1", "acme:2!55P03"});
    database.unlock("acme");
    EXPECT_EQ(first.get() + others[0].get() + others[1].get(), "[acme:0]55P0355P03");
    EXPECT_EQ(database.asked_waiting().size(), 2u) << "nothing was asked again";
}

TEST_F(BatchTest, OneHeldRequestsOtherFailureHarmsNoOther)
{
    database.lock("acme");
    auto first = start("acme:0");
    database.wait_until_asked_waiting(1);
    auto others = start_held({"acme:1", "acme:2!22P02"});
    database.unlock("acme");
    EXPECT_EQ(first.get() + others[0].get() + others[1].get(), "[acme:0][acme:1]22P02");
    EXPECT_EQ(database.asked_waiting().size(), 4u);
}

TEST_F(BatchTest, UnderLoadEachGetsItsOwnAnswer)
{
    std::vector<std::jthread> threads;
    std::atomic<int> wrong = 0;
    for (int number = 0; number < 16; ++number)
        threads.emplace_back([&, number] {
            for (int i = 0; i < 500; ++i) {
                const auto request = std::to_string(number) + "." + std::to_string(i);
                const bool bad = i % 50 == number;
                wrong += ask(bad ? "!22P02" : request) != (bad ? "22P02" : "[" + request + "]");
            }
        });
    threads.clear();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(batches.waiting(), 0u);
}
