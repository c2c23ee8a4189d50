// `umemcg export`: metrics for Prometheus, over HTTP or in a file.

#include <prometheus/exposer.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/export/collector.h"
#include "cli/export/listen_address.h"
#include "cli/export/text_file.h"

namespace umemcg {
namespace {

constexpr char kDefaultListen[] = "127.0.0.1:9753";
constexpr unsigned kDefaultInterval = 15;  // seconds

struct Options {
  CollectorOptions collector;
  std::string listen, text_file;
  unsigned interval = kDefaultInterval;
  bool once = false;
};

using Collector = std::shared_ptr<DomainCollector>;
using Exposer = std::unique_ptr<prometheus::Exposer>;

std::string text_of(const Collector& collector) {
  return prometheus::TextSerializer().Serialize(collector->Collect());
}

int fail_to_listen(const std::string& address, const std::string& why) {
  return fail("cannot listen on " + address + " (" + why +
              "); choose another address with --listen");
}

// Null, with a line on stderr, if nobody can listen there.
Exposer listen_on(const std::string& text, const Collector& collector) {
  const ListenAddress address = resolve_listen_address(text);
  if (!address.error.empty()) {
    fail_to_listen(text, address.error);
    return nullptr;
  }
  try {
    // A client that says nothing keeps a thread for that long.
    auto exposer = std::make_unique<prometheus::Exposer>(
        std::vector<std::string>{"listening_ports", address.text, "num_threads",
                                 "4", "request_timeout_ms", "2000"});
    exposer->RegisterCollectable(collector);
    const std::string host =
        address.text.substr(0, address.text.rfind(':') + 1);
    for (const int port : exposer->GetListeningPorts()) {
      std::cout << "metrics at http://" << host << port << "/metrics"
                << std::endl;
    }
    return exposer;
  } catch (const std::exception& error) {
    fail_to_listen(text, error.what());
    return nullptr;
  }
}

// SIGTERM and SIGINT, for all threads that are made after this.
sigset_t hold_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  return ends;
}

// Whether one of them came within that time.
bool ended_within(const sigset_t& ends, unsigned seconds) {
  const timespec time = {static_cast<time_t>(seconds), 0};
  int got = -1;
  do {
    got = ::sigtimedwait(&ends, nullptr, &time);
  } while (got < 0 && errno == EINTR);
  return got > 0;
}

int write_file(const std::string& path, const Collector& collector) {
  const int error = replace_file(path, text_of(collector));
  return error == 0 ? kDone
                    : fail("cannot write " + path + " (" + error_text(error) +
                           "); --textfile names a file in a folder that can "
                           "be written");
}

int write_once(const Options& options, const Collector& collector) {
  if (!options.text_file.empty()) {
    return write_file(options.text_file, collector);
  }
  std::cout << text_of(collector);
  return kDone;
}

// A disk that is full now may have room the next time: that is said once, and
// the file stays as it was.
void write_until_ended(const Options& options, const Collector& collector,
                       const sigset_t& ends) {
  bool said = false;
  while (!ended_within(ends, options.interval)) {
    const std::string text = text_of(collector);
    const int error = replace_file(options.text_file, text);
    if (error != 0 && !said) {
      fail("cannot write " + options.text_file + " (" + error_text(error) +
           "); it is tried again every " + std::to_string(options.interval) +
           " s");
    }
    said = error != 0;
  }
}

int export_metrics(Options options) {
  std::vector<std::string>& domains = options.collector.domains;
  if (domains.empty()) domains = {domain_name("")};
  // Twice the same series would cost the whole scrape.
  std::sort(domains.begin(), domains.end());
  domains.erase(std::unique(domains.begin(), domains.end()), domains.end());
  const auto collector = std::make_shared<DomainCollector>(options.collector);
  if (options.once) return write_once(options, collector);
  const sigset_t ends = hold_signals();
  Exposer exposer;
  if (!options.listen.empty() || options.text_file.empty()) {
    const std::string& listen = options.listen;
    exposer = listen_on(listen.empty() ? kDefaultListen : listen, collector);
    if (exposer == nullptr) return kFailed;
  }
  if (options.text_file.empty()) {
    int got = 0;
    ::sigwait(&ends, &got);
    return kDone;
  }
  if (write_file(options.text_file, collector) != kDone) return kFailed;
  write_until_ended(options, collector, ends);
  return kDone;
}

void add_domain_options(CLI::App* command, CollectorOptions& options) {
  CLI::Option* domains =
      command
          ->add_option("--domain", options.domains,
                       "a domain: a name or a path; may be given again "
                       "(default: $UMEMCG_DOMAIN, else the one named default)")
          ->type_name("NAME")
          ->expected(1)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  CLI::Option* all =
      command
          ->add_flag("--all", options.all,
                     "all domains of the user, at every scrape; for root "
                     "everybody's")
          ->excludes(domains);
  command
      ->add_flag("--named", options.named,
                 "of all, not the private domains of `umemcg run`, whose "
                 "names never come again")
      ->needs(all);
  command
      ->add_option("--depth", options.depth,
                   "only groups down to this level; 0: the root")
      ->type_name("N");
  command->add_flag("--no-audit", options.no_audit,
                    "without umemcg_unaccounted_bytes, for which the maps of "
                    "every process are read");
}

}  // namespace

void add_export_command(CLI::App& app, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "export", "Metrics of domains for Prometheus, over HTTP or in a file");
  add_domain_options(command, options->collector);
  CLI::Option* listen =
      command
          ->add_option("--listen", options->listen,
                       "where to answer /metrics (default " +
                           std::string(kDefaultListen) +
                           ", unless there is a --textfile); port 0: any")
          ->type_name("HOST:PORT");
  CLI::Option* file =
      command
          ->add_option("--textfile", options->text_file,
                       "write them to this file, as the node exporter's "
                       "textfile collector reads them")
          ->type_name("FILE");
  CLI::Option* once = command
                          ->add_flag("--once", options->once,
                                     "write them once, to the file or else to "
                                     "stdout")
                          ->excludes(listen);
  command
      ->add_option("--interval", options->interval,
                   "seconds until the file is written anew (default " +
                       std::to_string(kDefaultInterval) + ")")
      ->check(CLI::Range(1u, 86400u))
      ->type_name("SECONDS")
      ->needs(file)
      ->excludes(once);
  command->callback([options, &chosen] {
    chosen = [options] { return export_metrics(*options); };
  });
}

}  // namespace umemcg
