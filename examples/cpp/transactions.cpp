// Reads a topic, works on each message, and writes the results to another one, each exactly once.
//
//     transactions [BOOTSTRAP [FROM TO]]: on the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise
//     on an embedded broker that this program starts and fills.
//
// What is written and how far was read are one transaction: kill it at any moment and start it again, and each message
// has one result, for readers with isolation.level=read_committed. It ends when nothing came for three seconds.
#include <ottla.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

using namespace std::chrono_literals;

namespace {

constexpr std::size_t messages = 10'000;
constexpr auto limit = 60s;
// Partitions are assigned here, not subscribed; the name keeps the offsets.
const std::string group = "ottla-example-worker";

void fill(const std::string &servers, const std::string &topic) {
    const ottla::Producer producer{{{"bootstrap.servers", servers}}};
    std::vector<std::string> values;
    for (std::size_t i = 0; i < messages; i++) {
        values.push_back("message " + std::to_string(i));
    }
    producer.send_batch(topic, ottla::Column(values));
    producer.flush(limit);
}

std::string work(ottla::Bytes value) {
    std::string result(*value);
    std::transform(result.begin(), result.end(), result.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return result;
}

std::size_t run(const std::string &servers, const std::string &from, const std::string &to) {
    const ottla::Producer producer{{{"bootstrap.servers", servers}, {"transactional.id", group}}};
    ottla::Consumer consumer{{{"bootstrap.servers", servers},
                              {"group.id", group},
                              {"isolation.level", "read_committed"},
                              {"auto.offset.reset", "earliest"}}};
    // First of all: it ends what an earlier run of this program left open, so that its offsets are final.
    producer.init_transactions(limit);
    consumer.assign_topic(from);
    std::size_t count = 0;
    while (const ottla::Polled polled = consumer.poll(1000, 3s)) {
        const ottla::Batch *batch = polled.batch();
        if (!batch) {
            std::fprintf(stderr, "%s\n", std::string(polled.event()->message()).c_str());
            continue;
        }
        // Commits when the function returns; aborts if it throws, and lets the error through.
        ottla::transact(producer, [&] {
            for (const ottla::Segment &segment : batch->segments()) {
                std::vector<std::string> results;
                for (std::size_t i = 0; i < segment.rows(); i++) {
                    results.push_back(work(segment.value(i)));
                }
                ottla::BatchOptions options;
                options.partition = segment.partition();
                producer.send_batch(to, ottla::Column(results), options);
                const auto offsets = segment.offsets();
                producer.send_offsets({{from, segment.partition(), offsets[offsets.size() - 1] + 1}}, {group}, limit);
            }
        });
        count += batch->rows();
    }
    producer.close(limit);
    return count;
}

} // namespace

int main(int argc, char **argv) {
    const char *given = argc > 1 ? argv[1] : std::getenv("BOOTSTRAP");
    const std::string from = argc > 3 ? argv[2] : "ottla-example-in", to = argc > 3 ? argv[3] : "ottla-example-out";
    try {
        std::optional<ottla::testing::Broker> embedded;
        const std::string servers = given ? given : embedded.emplace().bootstrap_servers();
        if (embedded) {
            embedded->create_topic(from, 3);
            embedded->create_topic(to, 3);
            fill(servers, from);
        }
        const std::size_t count = run(servers, from, to);
        std::printf("C++: worked on %zu messages of %s, each exactly once, into %s\n", count, from.c_str(), to.c_str());
    } catch (const ottla::Error &error) {
        std::fprintf(stderr, "%s%s\n", error.what(), error.fatal() ? " (start it again)" : "");
        return 1;
    }
}
