// Where the tests run: on the Kafka of OTTLA_TEST_BOOTSTRAP, else on an embedded broker of this process.
#ifndef OTTLA_TESTS_CLUSTER_HPP
#define OTTLA_TESTS_CLUSTER_HPP

#include <ottla.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

using namespace std::chrono_literals;

namespace tests {

inline const std::string &bootstrap() {
    static const std::string servers = [] {
        if (const char *given = std::getenv("OTTLA_TEST_BOOTSTRAP")) {
            return std::string(given);
        }
        static const ottla::testing::Broker broker;
        return broker.bootstrap_servers();
    }();
    return servers;
}

inline ottla::Config config() { return {{"bootstrap.servers", bootstrap()}}; }

/// A topic with a name of its own, deleted at the end.
class Topic {
public:
    explicit Topic(std::int32_t partitions = 1) : admin_(config()) {
        static int number = 0;
        name = "cpp-" + std::to_string(getpid()) + "-" + std::to_string(++number);
        admin_.create_topic({name, partitions, 1}, 30s);
    }
    ~Topic() { (void)admin_.try_delete_topic(name, 30s); }
    Topic(const Topic &) = delete;
    Topic &operator=(const Topic &) = delete;

    std::string name;

private:
    ottla::Admin admin_;
};

/// Polls until there is a batch; events on the way fail the test.
inline ottla::Batch next_batch(ottla::Consumer &consumer, std::size_t max = 0) {
    ottla::Polled polled = consumer.poll(max, 30s);
    if (const ottla::Event *event = polled.event()) {
        throw std::runtime_error("an event, not a batch: " + std::string(event->message()));
    }
    if (!polled) {
        throw std::runtime_error("nothing came in 30 s");
    }
    return std::move(*polled.batch());
}

/// Polls until so many records have come and hands each to `use`; the batches stay alive.
template <class F> std::vector<ottla::Batch> read(ottla::Consumer &consumer, std::size_t count, F &&use) {
    std::vector<ottla::Batch> batches;
    for (std::size_t got = 0; got < count;) {
        batches.push_back(next_batch(consumer));
        for (const ottla::RecordView record : batches.back()) {
            use(record);
            got++;
        }
    }
    return batches;
}

} // namespace tests

#endif
