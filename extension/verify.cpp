#include "session.hpp"
using namespace pg_org;
PG_ORG_READ(usage_verify) { session.reply.begin_array().end_array(); }
PG_ORG_WRITE(usage_repair) { session.reply.begin_array().end_array(); }
