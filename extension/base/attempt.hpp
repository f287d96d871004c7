// Attempts: several changes in one call, each of which may be refused without the others.
#pragma once

#include "fail.hpp"

namespace pg_org {

// Runs a rule. Its refusal undoes what it did, and nothing else; other errors end the call as always, and so do
// refusals of the caller's key and those that ask the caller to try again.
Maybe<Refusal> attempt(void (*rule)(void *), void *argument);
template <typename Rule> Maybe<Refusal> attempt(Rule rule)
{
    return attempt([](void *argument) { (*static_cast<Rule *>(argument))(); }, &rule);
}

} // namespace pg_org
