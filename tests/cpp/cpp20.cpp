// Built as C++20: designated initialisers, std::span, ranges.
#include <ottla.hpp>

#include <algorithm>
#include <ranges>
#include <span>

using namespace std::chrono_literals;

int main() {
    const ottla::testing::Broker broker;
    broker.create_topic("orders");
    const ottla::Config config{{"bootstrap.servers", broker.bootstrap_servers()}};

    const ottla::Producer producer(config);
    producer.send({.topic = "orders", .value = "v0", .key = "k0", .headers = {{"trace", "17"}}, .timestamp = 1000});
    const std::array<std::byte, 2> bytes{std::byte{'v'}, std::byte{'1'}};
    producer.send("orders", std::span(bytes));
    producer.send_batch("orders", {"v2", "v3"}, {.partition = 0, .timeout = 10s});
    producer.flush(10s);

    ottla::Consumer consumer(config);
    consumer.assign({{"orders", 0, ottla::Start::earliest()}});
    std::string all;
    while (all.size() < 8) {
        auto polled = consumer.poll(100, 10s);
        if (!polled.batch()) {
            return 1;
        }
        static_assert(std::ranges::forward_range<ottla::Batch>);
        const auto has_value = [](ottla::RecordView record) { return record.value().has_value(); };
        for (const auto record : *polled.batch() | std::views::filter(has_value)) {
            all += *record.value();
        }
        for (const ottla::Segment &segment : polled.batch()->segments()) {
            const std::span<const std::int64_t> offsets = segment.offsets();
            if (!std::ranges::is_sorted(offsets)) {
                return 2;
            }
        }
    }
    return all == "v0v1v2v3" ? 0 : 3;
}
