// Counting rollbacks.

#include "rollbacks.hpp"

namespace pg_org {

namespace {

uint64 rollback_count = 0;

void on_end(XactEvent event, void *)
{
    if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
        rollback_count++;
}

void on_end_of_part(SubXactEvent event, SubTransactionId, SubTransactionId, void *)
{
    if (event == SUBXACT_EVENT_ABORT_SUB)
        rollback_count++;
}

} // namespace

uint64 rollbacks() { return rollback_count; }

void count_rollbacks()
{
    RegisterXactCallback(on_end, nullptr);
    RegisterSubXactCallback(on_end_of_part, nullptr);
}

} // namespace pg_org
