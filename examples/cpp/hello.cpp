// Sends a few messages and reads them back: on the Kafka named on the command line, or on one inside this program.
#include <ottla.hpp>

#include <iostream>

using namespace std::chrono_literals;

int main(int argc, char **argv) try {
    std::optional<ottla::testing::Broker> broker;
    const std::string servers = argc > 1 ? argv[1] : broker.emplace().bootstrap_servers();
    const ottla::Config config{{"bootstrap.servers", servers}};

    const ottla::Admin admin(config);
    admin.create_topic({"hello-cpp", 1}, 10s);

    const ottla::Producer producer(config);
    producer.send("hello-cpp", "a value");
    producer.send({"hello-cpp", "another", "its key"});
    producer.send_batch("hello-cpp", {"many", "in", "one", "call"});
    producer.flush(10s);

    ottla::Consumer consumer(config);
    consumer.assign_topic("hello-cpp", ottla::Start::earliest());
    for (std::size_t read = 0; read < 6;) {
        const ottla::Polled polled = consumer.poll(1000, 10s);
        if (const ottla::Batch *batch = polled.batch()) {
            for (const ottla::RecordView record : *batch) {
                std::cout << record.offset() << ": " << record.key().value_or("-") << ' ' << *record.value() << '\n';
            }
            read += batch->rows();
        } else {
            std::cerr << (polled ? polled.event()->message() : "nothing came in 10 s") << '\n';
            return 1;
        }
    }
    admin.delete_topic("hello-cpp", 10s);
} catch (const ottla::Error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
