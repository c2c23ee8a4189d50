// mimalloc's own functions, for the exported names in shim/, which are one jump
// to them. alloc/ is the only folder that includes mimalloc.h.
#pragma once

#include <mimalloc.h>
