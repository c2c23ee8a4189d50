// Most of the standard library's templates, for the compiler to work on.

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <iostream>
#include <iterator>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <ranges>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

template <int N>
struct Fibonacci {
  static constexpr long long value =
      Fibonacci<N - 1>::value + Fibonacci<N - 2>::value;
};
template <>
struct Fibonacci<0> {
  static constexpr long long value = 0;
};
template <>
struct Fibonacci<1> {
  static constexpr long long value = 1;
};

using Value = std::variant<int, double, std::string, std::vector<int>>;

std::string Describe(const Value& value) {
  return std::visit(
      [](const auto& held) -> std::string {
        using Held = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<Held, std::string>) return held;
        if constexpr (std::is_same_v<Held, std::vector<int>>) {
          return std::to_string(held.size()) + " numbers";
        }
        std::ostringstream text;
        if constexpr (std::is_arithmetic_v<Held>) text << held;
        return text.str();
      },
      value);
}

template <typename Container>
long Sum(const Container& container) {
  return std::accumulate(container.begin(), container.end(), 0L);
}

void Containers() {
  std::deque<int> deque(1000);
  std::iota(deque.begin(), deque.end(), 0);
  std::list<int> list(deque.begin(), deque.end());
  std::set<int, std::greater<>> set(list.begin(), list.end());
  std::unordered_map<std::string, std::tuple<int, double>> table;
  std::map<std::pair<int, int>, std::shared_ptr<Value>> map;
  for (int i : deque) {
    table.emplace("key" + std::to_string(i), std::make_tuple(i, i * 0.5));
    map[{i % 7, i}] = std::make_shared<Value>(std::to_string(i));
  }
  std::cout << Sum(deque) << ' ' << Sum(list) << ' ' << Sum(set) << ' '
            << table.size() << ' ' << Describe(*map[{3, 3}]) << '\n';
}

void Ranges() {
  auto odd = std::views::iota(1, 500) |
             std::views::filter([](int i) { return i % 2 == 1; }) |
             std::views::transform([](int i) { return i * i; }) |
             std::views::take(50);
  std::vector<int> squares;
  std::ranges::copy(odd, std::back_inserter(squares));
  std::ranges::sort(squares, std::greater<>());
  std::cout << squares.front() << ' ' << squares.size() << '\n';
}

void Text() {
  const std::regex word("([a-z]+)([0-9]*)");
  const std::string text = "one1 two22 three333";
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end;
       ++it) {
    std::cout << (*it)[1] << '=' << (*it)[2] << ' ';
  }
  std::cout << '\n';
}

void Threads() {
  std::vector<long> sums(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    threads.emplace_back([i, &sums] {
      std::vector<std::string> own;
      for (int j = 0; j < 1000; ++j) own.push_back(std::string(i + 50, 'x'));
      for (const auto& each : own) sums[i] += static_cast<long>(each.size());
    });
  }
  for (auto& thread : threads) thread.join();
  std::cout << Sum(sums) << '\n';
}

}  // namespace

int main() {
  std::cout << Fibonacci<80>::value << '\n';
  Containers();
  Ranges();
  Text();
  Threads();
  std::cout << Describe(Value(std::vector<int>(3))) << '\n';
}
