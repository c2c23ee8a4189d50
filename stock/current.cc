#include "stock/current.h"

namespace umemcg {

constinit UMEMCG_TLS ThreadContext t_context;
constinit std::atomic<Account*> g_process_account{nullptr};
constinit std::atomic<Account*> g_home_account{nullptr};
constinit std::atomic<Account*> g_records_account{nullptr};

}  // namespace umemcg
