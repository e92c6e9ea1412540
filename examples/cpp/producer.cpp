// Sends a million messages one by one, with keys, and looks at what became of each.
//
//     producer [BOOTSTRAP [TOPIC]]: to the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise
//     to an embedded broker that this program starts. The topic (ottla-example) is created if it isn't there.
#include <ottla.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t messages = 1'000'000;
constexpr auto limit = 60s;

struct Tally {
    std::uint64_t written = 0, failed = 0;

    void add(const ottla::Completions &completions) {
        for (const ottla::Completion completion : completions) {
            if (completion.written()) {
                written += completion.count();
            } else {
                failed += completion.count();
                std::fprintf(stderr, "message %llu: %s\n", static_cast<unsigned long long>(completion.token()),
                             completion.error()->what());
            }
        }
    }
};

void run(const char *given, const std::string &topic) {
    std::optional<ottla::testing::Broker> embedded;
    const std::string servers = given ? given : embedded.emplace().bootstrap_servers();
    const ottla::Config config{{"bootstrap.servers", servers}, {"linger.ms", 5ms}, {"compression.type", "lz4"}};

    // A name already taken is as good.
    const auto created = ottla::Admin({{"bootstrap.servers", servers}}).try_create_topic({topic, 3, 1}, limit);
    if (!created && created.error().name() != "TOPIC_ALREADY_EXISTS") {
        throw created.error();
    }

    const ottla::Producer producer(config);
    Tally tally;
    const auto begun = Clock::now();
    for (std::uint64_t i = 1; i <= messages; i++) {
        char key[20];
        const auto end = std::to_chars(key, key + sizeof key, i % 1000).ptr;
        ottla::Record record{topic, "a message like many others", std::string_view(key, static_cast<std::size_t>(end - key))};
        record.token = i;
        producer.send(record); // waits if the buffer is full
        if (i % 10'000 == 0) {
            tally.add(producer.poll(10'000, 0s));
        }
    }
    while (tally.written + tally.failed < messages) {
        const ottla::Completions completions = producer.poll(10'000, limit);
        if (completions.empty()) {
            break;
        }
        tally.add(completions);
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    std::printf("C++: produced %llu messages in %.2f s, %.1f million a second, %llu failed\n",
                static_cast<unsigned long long>(tally.written), seconds, static_cast<double>(tally.written) / seconds / 1e6,
                static_cast<unsigned long long>(tally.failed));
    if (tally.written != messages) {
        throw ottla::Error(OTTLA_ERR_TIMED_OUT, "not everything was written");
    }
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
