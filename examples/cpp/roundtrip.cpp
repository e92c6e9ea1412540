// A million messages out and back from C++.
//
//     roundtrip [BOOTSTRAP]: on the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on an
//     embedded broker that this program starts.
#include <ottla.hpp>

#include <cstdio>
#include <cstdlib>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t messages = 1'000'000, size = 100, slice = 10'000;
constexpr auto limit = 60s;

void report(const char *what, Clock::time_point begun) {
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    std::printf("C++: %s %zu messages of %zu bytes in %.2f s, %.1f million a second\n", what, messages, size, seconds,
                static_cast<double>(messages) / seconds / 1e6);
}

void produce(const ottla::Config &config, const std::string &topic) {
    const ottla::Producer producer(config);
    // Ten thousand messages lie one behind the other; each call sends all of them.
    const std::string blob(slice * size, 'x');
    const std::vector<std::int32_t> lengths(slice, static_cast<std::int32_t>(size));
    const ottla::Column values = ottla::Column::lengths(blob, lengths);
    const auto begun = Clock::now();
    for (std::size_t sent = 0; sent < messages; sent += slice) {
        producer.send_batch(topic, values);
    }
    producer.flush(limit);
    report("produced", begun);
}

void consume(const ottla::Config &config, const std::string &topic) {
    ottla::Consumer consumer(config);
    consumer.assign_topic(topic, ottla::Start::earliest());
    const auto begun = Clock::now();
    std::size_t count = 0, bytes = 0;
    while (count < messages) {
        const ottla::Polled polled = consumer.poll(0, limit);
        if (const ottla::Event *event = polled.event()) {
            std::fprintf(stderr, "%s\n", std::string(event->message()).c_str());
            continue;
        }
        if (!polled) {
            throw ottla::Error(OTTLA_ERR_TIMED_OUT, "only " + std::to_string(count) + " messages came");
        }
        for (const ottla::RecordView record : *polled.batch()) {
            bytes += record.value().size();
            count++;
        }
    }
    report("consumed", begun);
    if (bytes != messages * size) {
        throw ottla::Error(OTTLA_ERR_CORRUPT_BATCH, "other bytes came than went");
    }
}

void run(const char *given) {
    std::optional<ottla::testing::Broker> embedded;
    const std::string servers = given ? given : embedded.emplace().bootstrap_servers();
    const ottla::Config config{{"bootstrap.servers", servers}};
    const std::string topic = "ottla-cpp-" + std::to_string(ottla::milliseconds(std::chrono::system_clock::now()));

    const ottla::Admin admin(config);
    admin.create_topic({topic, 1, 1}, limit);
    produce(config, topic);
    consume(config, topic);
    admin.delete_topic(topic, limit);
}

} // namespace

int main(int argc, char **argv) {
    const char *given = argc > 1 ? argv[1] : std::getenv("BOOTSTRAP");
    try {
        run(given);
    } catch (const ottla::Error &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
