#include "alloc/attention.h"

namespace umemcg {

constinit Hook<void()> g_attention_hook{[] {}};
constinit Hook<void()> g_attention_work_hook{[] {}};

void raise_attention() {
  if (t_context.attention) return;
  t_context.attention = true;
  g_attention_hook();
}

}  // namespace umemcg
