// Reading the clock.

#include "clock.hpp"

namespace pg_org {

namespace {

char *now_setting = nullptr;

} // namespace

Time present()
{
    if (now_setting == nullptr || *now_setting == '\0')
        return {GetCurrentTimestamp()};
    return {DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(now_setting),
                                                    ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)))};
}

void define_clock_setting()
{
    DefineCustomStringVariable("pg_org.now", "Sets the time that limits and usage take for the present.",
                               "Empty means the clock. Set it to try out what happens when time passes.", &now_setting,
                               "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

} // namespace pg_org
