// PostgreSQL, as C++ sees it: the one place that includes the server's headers.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <functional>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

extern "C" {
#include <postgres.h>

#include <access/detoast.h>
#include <access/htup_details.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/pg_class.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <common/cryptohash.h>
#include <common/hmac.h>
#include <common/sha2.h>
#include <executor/spi.h>
#include <fmgr.h>
#include <funcapi.h>
#include <lib/stringinfo.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <nodes/parsenodes.h>
#include <pgtime.h>
#include <storage/lmgr.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/datetime.h>
#include <utils/fmgroids.h>
#include <utils/guc.h>
#include <utils/inval.h>
#include <utils/json.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/numeric.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
#include <utils/typcache.h>
#include <utils/uuid.h>
#if PG_VERSION_NUM >= 160000
#include <varatt.h>
#endif
}

// Macros that would eat ordinary C++ names.
#undef Max
#undef Min
#undef Abs
#undef _
#undef gettext

// PostgreSQL 15 leaves this empty, and everything else here is hidden.
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))

// Opens the definition of a function that SQL can call.
#define PG_ORG_FUNCTION(name)                                                                                          \
    extern "C" {                                                                                                       \
    PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                                          \
    PG_FUNCTION_INFO_V1(name);                                                                                         \
    }                                                                                                                  \
    Datum name(PG_FUNCTION_ARGS)
