// The present, as limits and usage count it.
#pragma once

#include "types.hpp"

namespace pg_org {

// The time in the setting pg_org.now, or the clock's if it is empty. Superusers set it to try out how time passes.
Time present();

// Declares the setting; to be called once, when the server loads the module.
void define_clock_setting();

} // namespace pg_org
