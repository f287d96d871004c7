// What happens when the server loads the module.

#include "clock.hpp"
#include "rollbacks.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init();
}

namespace {

// A batch of calls takes a megabyte. What is freed beyond 128 kB goes back to the operating system by default, and to
// get it again for the next batch takes as long as the batch.
void keep_freed_memory()
{
#ifdef __GLIBC__
    constexpr int kept_bytes = 4 * 1024 * 1024;
    mallopt(M_MMAP_THRESHOLD, kept_bytes);
    mallopt(M_TRIM_THRESHOLD, kept_bytes);
#endif
}

} // namespace

void _PG_init()
{
    pg_org::define_clock_setting();
    pg_org::count_rollbacks();
    keep_freed_memory();
}
