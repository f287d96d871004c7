// Fair shares, and who is next.
#include "shares.hpp"

#include <gtest/gtest.h>

using namespace pg_org;

namespace {

constexpr Owner a = 1, b = 2, c = 3;

// How many an owner gets, one after the other.
std::size_t taken_by(Owner owner, Shares &shares, bool others_want)
{
    std::size_t taken = 0;
    for (; shares.may_take(owner, others_want); ++taken)
        shares.take(owner);
    return taken;
}

struct Waiting {
    Owner owner;
};

// The owners that get a share, one after the other, until none may.
std::vector<Owner> order(Shares &shares, std::vector<Waiting> waiting)
{
    std::deque<Waiting *> queue;
    for (auto &one : waiting)
        queue.push_back(&one);
    std::vector<Owner> owners;
    while (Waiting *next = next_in(queue, shares)) {
        shares.take(next->owner);
        owners.push_back(next->owner);
        std::erase(queue, next);
    }
    return owners;
}

} // namespace

TEST(Shares, AreHalfWhileOthersWantSome)
{
    for (const auto &[total, half] : {std::pair{1, 1}, {2, 1}, {3, 1}, {4, 2}, {9, 4}, {100, 50}}) {
        Shares shares(total);
        EXPECT_EQ(taken_by(a, shares, true), half) << total;
        EXPECT_EQ(taken_by(b, shares, true), std::min(half, total - half)) << total;
    }
}

TEST(Shares, LeaveAReserveToOthersOfOneWhoIsAlone)
{
    for (const auto &[total, most] : {std::pair{1, 1}, {2, 1}, {3, 2}, {4, 3}, {8, 6}, {100, 75}}) {
        Shares shares(total);
        EXPECT_EQ(taken_by(a, shares, false), most) << total;
        EXPECT_EQ(taken_by(b, shares, true), std::min(total - most, std::max(1, total / 2))) << total;
    }
    Shares unreserved{8, 0};
    EXPECT_EQ(taken_by(a, unreserved, false), 8u);
}

TEST(Shares, AreCountedInAmounts)
{
    Shares shares{100};
    EXPECT_TRUE(shares.may_take(a, true, 50));
    EXPECT_FALSE(shares.may_take(a, true, 51));
    EXPECT_TRUE(shares.may_take(a, false, 75));
    EXPECT_FALSE(shares.may_take(a, false, 76));
    shares.take(a, 40);
    EXPECT_TRUE(shares.is_within_half(a, 10));
    EXPECT_FALSE(shares.is_within_half(a, 11));
    shares.take(b, 50);
    EXPECT_TRUE(shares.may_take(c, true, 10));
    EXPECT_FALSE(shares.may_take(c, true, 11));
}

TEST(Shares, ComeBack)
{
    Shares shares{4};
    shares.take(a, 3);
    EXPECT_FALSE(shares.is_within_half(a));
    shares.take(b);
    EXPECT_FALSE(shares.may_take(c, false));
    shares.give_back(a, 2);
    EXPECT_EQ(shares.taken(), 2u);
    EXPECT_TRUE(shares.may_take(a, true));
    shares.give_back(a);
    shares.give_back(b);
    EXPECT_EQ(shares.taken(), 0u);
    EXPECT_EQ(taken_by(c, shares, true), 2u);
}

TEST(Shares, MayBeTakenBeyondAll)
{
    Shares shares{4};
    shares.take(a, 9);
    EXPECT_FALSE(shares.may_take(b, false));
    EXPECT_FALSE(shares.is_within_half(a));
    shares.give_back(a, 9);
    EXPECT_TRUE(shares.may_take(b, true));
}

TEST(NextIn, IsTheFirstOfThoseThatMay)
{
    Shares shares{8};
    EXPECT_EQ(order(shares, {}), (std::vector<Owner>{}));
    EXPECT_EQ(order(shares, {{a}, {b}, {a}, {c}}), (std::vector<Owner>{a, b, a, c}));
}

TEST(NextIn, PassesOverWhoHasHalf)
{
    Shares shares{4};
    EXPECT_EQ(order(shares, {{a}, {a}, {a}, {a}, {b}, {c}, {c}}), (std::vector<Owner>{a, a, b, c}));
    shares.give_back(b);
    EXPECT_EQ(order(shares, {{a}, {a}, {c}}), (std::vector<Owner>{c}));
    shares.give_back(a);
    EXPECT_EQ(order(shares, {{a}, {a}, {c}}), (std::vector<Owner>{a}));
}

TEST(NextIn, LetsOneWhoWaitsAloneHaveMoreThanHalf)
{
    Shares shares{8};
    EXPECT_EQ(order(shares, std::vector<Waiting>(8, {a})).size(), 6u);
    EXPECT_EQ(order(shares, {{a}, {b}, {a}, {b}, {b}}), (std::vector<Owner>{b, b}));
}
