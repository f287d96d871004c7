// The shapes of replies: the three error bodies and the objects, field by field.
#pragma once

#include "fixture.hpp"

namespace pg_org::test {

using Text = testing::Matcher<std::string>; // a string for exactly that, or HasSubstr(…) and the like

// {"error": {message, type, param, code}}
testing::Matcher<const Reply &> e1(int status, const Text &message, const Text &type = "auth_error");

// {"detail": {"error": message}}
testing::Matcher<const Reply &> e2(int status, const Text &message);

// 422 {"detail": [{type, loc, msg, input}]}, one of them with this location
testing::Matcher<const Reply &> e3(const Json &location, const Text &type = testing::_,
                                   const Text &message = testing::_);

// Such an error (the first, if there are several) that also has a hint
testing::Matcher<const Reply &> hinted(const Text &hint, const testing::Matcher<const Reply &> &is);

// Exactly their fields, in their order, each of its type and format.
testing::AssertionResult is_organization(const Json &object);
testing::AssertionResult is_budget(const Json &object);
testing::AssertionResult is_membership(const Json &object);
testing::AssertionResult is_team(const Json &object);
testing::AssertionResult is_user(const Json &object);
testing::AssertionResult is_team_membership(const Json &object);
testing::AssertionResult is_key(const Json &object);
testing::AssertionResult is_end_user(const Json &object);
testing::AssertionResult is_audit_entry(const Json &object);
testing::AssertionResult is_change(const Json &object);
testing::AssertionResult is_logged_call(const Json &object);
testing::AssertionResult is_event(const Json &object);
testing::AssertionResult is_reservation(const Json &object);
testing::AssertionResult is_settled_call(const Json &object);
testing::AssertionResult is_extended_call(const Json &object);

bool is_time(const Json &value); // UTC, six fractional digits, Z
bool is_uuid(const Json &value); // version 4, lower case

std::vector<std::string> names(const Json &object);
std::vector<Json> values_of(const Json &list, const std::string &field);

} // namespace pg_org::test
