#include "alloc/own_map_state.h"

namespace umemcg {

constinit UMEMCG_TLS OwnMapState t_own_map = {};

}  // namespace umemcg
