// Reads a topic from its beginning, a million messages or to its present end, in two ways: by record and by column.
//
//     consumer [BOOTSTRAP [TOPIC]]: on the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise
//     on an embedded broker that this program starts and fills. The topic: ottla-example.
#include <ottla.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::int64_t messages = 1'000'000;
constexpr auto limit = 60s;

void fill(const ottla::Config &config, const std::string &topic) {
    const ottla::Producer producer(config);
    const std::vector<std::string> values(10'000, "a message like many others");
    const ottla::Column column(values);
    for (std::int64_t sent = 0; sent < messages; sent += 10'000) {
        producer.send_batch(topic, column);
    }
    producer.flush(limit);
}

/// Hands `use` one batch after the other, until `count` records have come.
template <class F> void read(ottla::Consumer &consumer, const std::string &topic, std::int64_t count, F &&use) {
    consumer.unassign(); // what is assigned already would go on where it is
    consumer.assign_topic(topic, ottla::Start::earliest());
    const auto begun = Clock::now();
    std::int64_t got = 0;
    while (got < count) {
        const ottla::Polled polled = consumer.poll(0, limit);
        if (const ottla::Event *event = polled.event()) {
            std::fprintf(stderr, "%s\n", std::string(event->message()).c_str());
        } else if (const ottla::Batch *batch = polled.batch()) {
            use(*batch);
            got += static_cast<std::int64_t>(batch->rows());
        } else {
            throw ottla::Error(OTTLA_ERR_TIMED_OUT, "only " + std::to_string(got) + " messages came");
        }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    std::printf("C++: consumed %lld messages in %.2f s, %.1f million a second\n", static_cast<long long>(got), seconds,
                static_cast<double>(got) / seconds / 1e6);
}

void run(const char *given, const std::string &topic) {
    std::optional<ottla::testing::Broker> embedded;
    const std::string servers = given ? given : embedded.emplace().bootstrap_servers();
    const ottla::Config config{{"bootstrap.servers", servers}};
    if (embedded) {
        embedded->create_topic(topic, 3);
        fill(config, topic);
    }

    ottla::Consumer consumer(config);
    std::vector<ottla::TopicPartition> partitions;
    for (std::int32_t p = 0; p < consumer.partition_count(topic, limit); p++) {
        partitions.push_back({topic, p});
    }
    const auto begins = consumer.beginning_offsets(partitions, limit), ends = consumer.end_offsets(partitions, limit);
    const std::int64_t there = std::accumulate(ends.begin(), ends.end(), std::int64_t{0}) -
                               std::accumulate(begins.begin(), begins.end(), std::int64_t{0});
    const std::int64_t count = std::min(there, messages);

    std::size_t bytes = 0;
    read(consumer, topic, count, [&](const ottla::Batch &batch) {
        for (const ottla::RecordView record : batch) {
            bytes += record.key().size() + record.value().size();
        }
    });
    std::int64_t newest = 0;
    read(consumer, topic, count, [&](const ottla::Batch &batch) {
        for (const ottla::Segment &segment : batch.segments()) {
            for (const std::int64_t timestamp : segment.timestamps()) {
                newest = std::max(newest, timestamp);
            }
        }
    });
    std::printf("C++: %zu bytes of keys and values, the newest of %lld ms since 1970\n", bytes,
                static_cast<long long>(newest));
}

} // namespace

int main(int argc, char **argv) {
    const char *given = argc > 1 ? argv[1] : std::getenv("BOOTSTRAP");
    try {
        run(given, argc > 2 ? argv[2] : "ottla-example");
    } catch (const ottla::Error &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
