// Loading libumemcg.so into a program that does not link it.
#pragma once

#include "shim/api_table.h"

// The library's table, or null: then it has said why on stderr.
extern "C" const umemcg::ApiTable* umemcg_load_library();
