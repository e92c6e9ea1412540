// Built with -fno-exceptions -fno-rtti: everything goes through Result.
#include <ottla.hpp>

#include <cstdio>

using namespace std::chrono_literals;

namespace {

/// Prints an error and remembers that there was one.
template <class T> bool failed(const char *what, const ottla::Result<T> &result) {
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", what, result.error().what());
    }
    return !result;
}

int run() {
    auto broker = ottla::testing::Broker::start();
    if (failed("broker", broker) || failed("topic", broker->try_create_topic("greetings"))) {
        return 1;
    }
    const ottla::Config config{{"bootstrap.servers", broker->bootstrap_servers()}};

    auto producer = ottla::Producer::open(config);
    if (failed("producer", producer) || failed("send", producer->try_send("greetings", "hello"))) {
        return 1;
    }
    if (const auto accepted = producer->try_send_batch("greetings", {"a", "b"}); accepted.error) {
        std::fprintf(stderr, "batch: %s\n", accepted.error->what());
        return 1;
    }
    if (failed("flush", producer->try_flush(10s))) {
        return 1;
    }

    auto consumer = ottla::Consumer::open(config);
    if (failed("consumer", consumer) ||
        failed("assign", consumer->try_assign_topic("greetings", ottla::Start::earliest()))) {
        return 1;
    }
    std::string all;
    while (all.size() < 7) {
        auto polled = consumer->try_poll(0, 10s);
        if (failed("poll", polled) || !polled->batch()) {
            return 1;
        }
        for (const ottla::RecordView record : *polled->batch()) {
            all += *record.value();
        }
    }
    if (all != "helloab") {
        std::fprintf(stderr, "read \"%s\"\n", all.c_str());
        return 1;
    }

    const auto refused = ottla::Producer::open({{"bootstrap.servers", "x"}, {"acks", "most"}});
    return !refused && refused.error().code() == OTTLA_ERR_CONFIG ? 0 : 1;
}

} // namespace

int main() { return run(); }
