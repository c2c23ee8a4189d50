// What processes have left that have ended a moment ago.
#pragma once

namespace umemcg::cgroupfs {

// Their charges go back, so who reads now does not see them any more.
void reap_the_dead();

}  // namespace umemcg::cgroupfs
