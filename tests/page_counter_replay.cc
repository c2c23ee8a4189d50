// Replays one file of recorded page counter operations (the format is in
// tests/vectors/page_counter/README.md) and prints the first record whose
// outcome differs.
//
//   page_counter_replay FILE              operations on trees of counters
//   page_counter_replay --memparse FILE   strings and the pages they mean
//
// Exit status: 0 no mismatch, 1 a mismatch, 2 the file cannot be replayed.

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounting/page_counter.h"

namespace {

using umemcg::kPageCounterMax;
using umemcg::PageCounter;

enum ExitStatus { kSame = 0, kMismatch = 1, kCannotReplay = 2 };

using Tokens = std::vector<std::string>;

// What a record gives: the text after its "->", or after a state's ID.
// Empty when the record is malformed.
using Outcome = std::optional<std::string>;

Tokens split(const std::string& line) {
  Tokens tokens;
  size_t at = 0;
  while ((at = line.find_first_not_of(" \t\r", at)) != std::string::npos) {
    size_t end = line.find_first_of(" \t\r", at);
    tokens.push_back(line.substr(at, end - at));
    at = end;
  }
  return tokens;
}

std::string join(const Tokens& tokens, size_t first) {
  std::string text;
  for (size_t i = first; i < tokens.size(); ++i) {
    if (i > first) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::optional<uint64_t> parse_number(const std::string& token) {
  if (token == "max") return static_cast<uint64_t>(kPageCounterMax);
  uint64_t value = 0;
  const char* end = token.data() + token.size();
  auto [stop, error] = std::from_chars(token.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string print_pages(int64_t pages) {
  if (pages == kPageCounterMax) return "max";
  return std::to_string(static_cast<uint64_t>(pages));
}

// The counters of the tree that is being replayed. They lie in one array:
// links are offsets within one mapping.
class Tree {
 public:
  bool start(uint64_t nodes) {
    if (nodes == 0 || nodes > 1'000'000) return false;
    counters_ = std::make_unique<PageCounter[]>(nodes);
    size_ = nodes;
    return true;
  }

  bool add_node(uint64_t id, const std::string& parent, bool protection) {
    PageCounter* above = nullptr;
    if (parent != "-1") {
      std::optional<uint64_t> index = parse_number(parent);
      if (!index || *index >= id) return false;
      above = find(*index);
    }
    PageCounter* counter = find(id);
    if (counter == nullptr || (above == nullptr) != (id == 0)) return false;
    counter->init(above, protection);
    return true;
  }

  // The counter with that ID, or null.
  PageCounter* find(uint64_t id) {
    return id < size_ ? &counters_[id] : nullptr;
  }
  int64_t id_of(const PageCounter* counter) const {
    return counter - counters_.get();
  }

 private:
  std::unique_ptr<PageCounter[]> counters_;
  uint64_t size_ = 0;
};

std::string print_state(const PageCounter& c) {
  Tokens fields;
  for (int64_t pages : {c.usage(), c.max(), c.min(), c.low(), c.watermark()}) {
    fields.push_back(print_pages(pages));
  }
  fields.push_back(std::to_string(c.failcnt()));
  for (int64_t pages : {c.min_usage(), c.low_usage(), c.children_min_usage(),
                        c.children_low_usage()}) {
    fields.push_back(print_pages(pages));
  }
  return join(fields, 0);
}

std::string try_charge(Tree& tree, PageCounter& counter, int64_t pages) {
  PageCounter* failed = nullptr;
  if (counter.try_charge(pages, &failed)) return "ok";
  return "fail " + std::to_string(tree.id_of(failed));
}

// tree INDEX NODES MODE; node ID PARENT PROTECTION
Outcome build(Tree& tree, const Tokens& record) {
  if (record.size() != 4) return std::nullopt;
  std::optional<uint64_t> first = parse_number(record[1]);
  if (!first) return std::nullopt;
  if (record[0] == "tree") {
    std::optional<uint64_t> nodes = parse_number(record[2]);
    if (!nodes || !tree.start(*nodes)) return std::nullopt;
  } else {
    bool protection = record[3] == "1";
    if (!protection && record[3] != "0") return std::nullopt;
    if (!tree.add_node(*first, record[2], protection)) return std::nullopt;
  }
  return "";
}

// protect ROOT ID RECURSIVE
Outcome protect(PageCounter& root, PageCounter* counter, uint64_t recursive) {
  if (counter == nullptr || recursive > 1) return std::nullopt;
  counter->calculate_protection(&root, recursive == 1);
  return print_pages(counter->emin()) + " " + print_pages(counter->elow());
}

// KIND ID N, for everything that takes an amount of pages.
Outcome change(Tree& tree, PageCounter& counter, const std::string& kind,
               int64_t pages) {
  if (kind == "try_charge") return try_charge(tree, counter, pages);
  if (kind == "set_max") return std::to_string(counter.set_max(pages));
  if (kind == "charge") {
    counter.charge(pages);
  } else if (kind == "uncharge") {
    counter.uncharge(pages);
  } else if (kind == "set_min") {
    counter.set_min(pages);
  } else if (kind == "set_low") {
    counter.set_low(pages);
  } else {
    return std::nullopt;
  }
  return "";
}

// A record in two parts: what is done, and what must come of it.
struct Record {
  Tokens operation;
  std::string expected;
};

Record parse_record(const std::string& line) {
  Tokens tokens = split(line);
  if (!tokens.empty() && tokens[0] == "state") {
    size_t head = tokens.size() < 2 ? tokens.size() : 2;
    return {Tokens(tokens.begin(), tokens.begin() + static_cast<long>(head)),
            join(tokens, head)};
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] != "->") continue;
    return {Tokens(tokens.begin(), tokens.begin() + static_cast<long>(i)),
            join(tokens, i + 1)};
  }
  return {tokens, ""};
}

Outcome perform(Tree& tree, const Tokens& record) {
  if (record.empty()) return std::nullopt;
  const std::string& kind = record[0];
  if (kind == "tree" || kind == "node") return build(tree, record);

  std::vector<uint64_t> numbers;
  for (size_t i = 1; i < record.size(); ++i) {
    std::optional<uint64_t> number = parse_number(record[i]);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  }
  PageCounter* counter = numbers.empty() ? nullptr : tree.find(numbers[0]);
  if (counter == nullptr) return std::nullopt;
  if (kind == "state" && numbers.size() == 1) return print_state(*counter);
  if (kind == "reset_watermark" && numbers.size() == 1) {
    counter->reset_watermark();
    return "";
  }
  if (kind == "protect" && numbers.size() == 3) {
    return protect(*counter, tree.find(numbers[1]), numbers[2]);
  }
  if (numbers.size() != 2) return std::nullopt;
  return change(tree, *counter, kind, static_cast<int64_t>(numbers[1]));
}

// The outcome of one line; `expected` is set to what the file says.
Outcome replay_operation(Tree& tree, const std::string& line,
                         std::string* expected) {
  Record record = parse_record(line);
  *expected = record.expected;
  return perform(tree, record.operation);
}

// STRING, a tab, RESULT.
Outcome replay_memparse(const std::string& line, std::string* expected) {
  size_t tab = line.rfind('\t');
  if (tab == std::string::npos) return std::nullopt;
  *expected = line.substr(tab + 1);
  int64_t pages = 0;
  int error =
      umemcg::page_counter_memparse(line.substr(0, tab).c_str(), "max", &pages);
  return error != 0 ? "error" : print_pages(pages);
}

// The lines of a file; nothing, with errno set, if it cannot be read.
std::optional<std::vector<std::string>> read_lines(const char* path) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "re"),
                                                       std::fclose);
  if (file == nullptr) return std::nullopt;
  std::string text;
  char buffer[1 << 16];
  size_t got;
  while ((got = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0) {
    text.append(buffer, got);
  }
  if (std::ferror(file.get())) return std::nullopt;
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

ExitStatus replay(const char* path, bool memparse) {
  std::optional<std::vector<std::string>> lines = read_lines(path);
  if (!lines || lines->empty()) {
    std::fprintf(stderr, "page_counter_replay: %s: %s\n", path,
                 lines ? "holds no records" : std::strerror(errno));
    return kCannotReplay;
  }
  Tree tree;
  for (size_t i = 0; i < lines->size(); ++i) {
    const std::string& line = (*lines)[i];
    std::string expected;
    Outcome got = memparse ? replay_memparse(line, &expected)
                           : replay_operation(tree, line, &expected);
    if (!got) {
      std::fprintf(stderr, "page_counter_replay: %s:%zu: not a%s record: %s\n",
                   path, i + 1, memparse ? " memparse" : "n operation",
                   line.c_str());
      return kCannotReplay;
    }
    if (*got != expected) {
      std::printf("%s:%zu: mismatch in \"%s\": expected \"%s\", got \"%s\"\n",
                  path, i + 1, line.c_str(), expected.c_str(), got->c_str());
      return kMismatch;
    }
  }
  std::printf("%zu records, 0 mismatches\n", lines->size());
  return kSame;
}

}  // namespace

int main(int argc, char** argv) {
  const bool memparse = argc == 3 && std::strcmp(argv[1], "--memparse") == 0;
  if (!memparse && (argc != 2 || argv[1][0] == '-')) {
    std::fprintf(stderr, "usage: page_counter_replay [--memparse] FILE\n");
    return kCannotReplay;
  }
  return replay(argv[argc - 1], memparse);
}
