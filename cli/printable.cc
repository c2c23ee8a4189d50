#include "cli/printable.h"

#include <cstdint>
#include <string_view>

namespace umemcg {
namespace {

// A character of so many bytes begins with at least this, and is at least that.
struct Form {
  unsigned char mask, lead;
  uint32_t least;
};

constexpr Form kForms[] = {{0x80, 0x00, 0},
                           {0xe0, 0xc0, 0x80},
                           {0xf0, 0xe0, 0x800},
                           {0xf8, 0xf0, 1 << 16}};

constexpr uint32_t kNoCharacter = UINT32_MAX;

struct Character {
  uint32_t code = kNoCharacter;
  size_t length = 1;
};

// The first one: not one that is written longer than it must be, a half of a
// pair, or beyond the last.
Character first_of(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  for (size_t more = 0; more < 4 && more < text.size(); ++more) {
    const Form& form = kForms[more];
    if ((lead & form.mask) != form.lead) continue;
    uint32_t code = lead & ~form.mask & 0xffu;
    for (size_t i = 1; i <= more; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xc0) != 0x80) return {};
      code = code << 6 | (byte & 0x3f);
    }
    const bool pair = code >= 0xd800 && code < 0xe000;
    if (code < form.least || pair || code > 0x10ffff) return {};
    return {code, more + 1};
  }
  return {};
}

bool is_control(uint32_t code) {
  return code < ' ' || (code >= 0x7f && code < 0xa0);
}

template <typename Keep>
std::string escaped(const std::string& bytes, Keep keep) {
  constexpr char kHex[] = "0123456789abcdef";
  const std::string_view all(bytes);
  std::string text;
  for (size_t i = 0; i < all.size();) {
    const Character character = first_of(all.substr(i));
    const std::string_view part = all.substr(i, character.length);
    i += part.size();
    const bool taken = part[0] == '\\' && i < all.size() && all[i] == 'x';
    if (character.code != kNoCharacter && !taken && keep(character.code)) {
      text += part;
      continue;
    }
    for (const char c : part) {
      const auto byte = static_cast<unsigned char>(c);
      text += {'\\', 'x', kHex[byte / 16], kHex[byte % 16]};
    }
  }
  return text;
}

}  // namespace

std::string printable(const std::string& bytes) {
  return escaped(bytes, [](uint32_t code) { return !is_control(code); });
}

std::string printable_lines(const std::string& bytes) {
  return escaped(bytes, [](uint32_t code) {
    return !is_control(code) || code == '\n' || code == '\t';
  });
}

std::string utf8_text(const std::string& bytes) {
  return escaped(bytes, [](uint32_t) { return true; });
}

}  // namespace umemcg
