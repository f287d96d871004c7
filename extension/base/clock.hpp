// The present, as limits and usage count it.
#pragma once

#include "types.hpp"

namespace pg_org {

// The setting pg_org.now, which a superuser can set to try out what happens when time passes; else the clock.
Time present();

// Declares the setting; to be called once, when the server loads the module.
void define_clock_setting();

} // namespace pg_org
