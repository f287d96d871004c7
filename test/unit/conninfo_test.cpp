// What libpq is told, and the order of the servers.
#include "conninfo.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

using namespace pg_org;
using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

namespace {

Conninfo conninfo(const std::string &url)
{
    for (const char *variable : {"PGHOST", "PGHOSTADDR", "PGPORT"})
        unsetenv(variable);
    return {"--database-url", url, 6s};
}

TEST(Conninfo, AddsTimeoutsUnlessTheUrlSetsThem)
{
    EXPECT_THAT(conninfo("host=a").text(), HasSubstr("connect_timeout='2' "));
    EXPECT_THAT(conninfo("host=a").text(), HasSubstr("tcp_user_timeout='6000' "));
    EXPECT_THAT(conninfo("host=a connect_timeout=9").text(), HasSubstr("connect_timeout='9' "));
}

TEST(Conninfo, QuotesValues)
{
    EXPECT_THAT(conninfo(R"(password='a\'b\\c')").text(), HasSubstr(R"(password='a\'b\\c' )"));
}

TEST(Conninfo, TellsTheOptionOfAMalformedUrlWithoutItsPassword)
{
    try {
        conninfo("postgresql://me:secret@host:1:2/%zz");
        FAIL();
    } catch (const std::invalid_argument &error) {
        EXPECT_THAT(error.what(), HasSubstr("--database-url"));
        EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
    }
}

TEST(Conninfo, TriesTheLastOpenedFirstAndTheLostLast)
{
    auto tested = conninfo("postgresql://a:1,b:2,c:3/d");
    EXPECT_THAT(tested.text(), HasSubstr("host='a,b,c' port='1,2,3' "));
    tested.try_last({"a", "1"});
    EXPECT_THAT(tested.text(), HasSubstr("host='b,c,a' port='2,3,1' "));
    tested.try_last({"a", "1"});
    tested.try_first({"c", "3"});
    EXPECT_THAT(tested.text(), HasSubstr("host='c,b,a' port='3,2,1' "));
    tested.try_first({"c", "9"});
    EXPECT_THAT(tested.text(), HasSubstr("host='c,b,a' port='3,2,1' "));
}

TEST(Conninfo, NamesTheOthers)
{
    auto tested = conninfo("postgresql://a:1,b:2,c:3/d");
    EXPECT_TRUE(tested.names_several());
    EXPECT_THAT(tested.without({"b", "2"})->text(), HasSubstr("host='a,c' port='1,3' "));
    EXPECT_EQ(tested.without({"b", "9"}), tested);
    const auto one = tested.without({"a", "1"})->without({"b", "2"});
    EXPECT_THAT(one->text(), HasSubstr("host='c' port='3' "));
    EXPECT_TRUE(one->names_several());
    EXPECT_EQ(one->without({"c", "3"}), std::nullopt);

    tested = conninfo("postgresql://a:1/d");
    EXPECT_FALSE(tested.names_several());
    EXPECT_EQ(tested.without({"a", "1"}), std::nullopt);
}

TEST(Conninfo, KnowsServersByAddressOrByPortAlone)
{
    auto by_address = conninfo("hostaddr=127.0.0.1,127.0.0.2 port=5");
    by_address.try_last({"127.0.0.1", "5"});
    EXPECT_THAT(by_address.text(), HasSubstr("hostaddr='127.0.0.2,127.0.0.1' port='5,5' "));
    auto by_port = conninfo("host=a,a port=1,2");
    by_port.try_first({"a", "2"});
    EXPECT_THAT(by_port.text(), HasSubstr("host='a,a' port='2,1' "));
    auto without_port = conninfo("host=a,b");
    without_port.try_first({"b", "5432"});
    EXPECT_THAT(without_port.text(), HasSubstr("host='b,a' "));
    EXPECT_THAT(without_port.text(), Not(HasSubstr("port=")));
}

TEST(Conninfo, LeavesOneServerAndListsThatDoNotFitToLibpq)
{
    EXPECT_THAT(conninfo("host=a port=1").text(), HasSubstr("host='a' "));
    EXPECT_THAT(conninfo("host=a,b port=1,2,3").text(), HasSubstr("host='a,b' "));
    EXPECT_THAT(conninfo("host=a,b port=1,2,3").text(), HasSubstr("port='1,2,3' "));
    EXPECT_THAT(conninfo("host=a, port=1,2").text(), HasSubstr("host='a,' port='1,2' "));
}

} // namespace
