// The live screen of `umemcg top` and `umemcg replay`, by ncurses.
#pragma once

#include <string>

#include "cli/top/feed.h"
#include "cli/top/view.h"

namespace umemcg {

enum class ScreenEnd {
  kQuit,     // by a key or a signal
  kNoMore,   // the feed has ended
  kNoScreen  // the terminal is not one that ncurses can drive
};

// Shows samples, one each `interval_s`, until it is told to end. Puts the
// terminal back.
ScreenEnd show_screen(Feed& feed, ViewOptions options, double interval_s);

}  // namespace umemcg
