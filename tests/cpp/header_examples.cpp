// Runs the examples in the comments of <ottla.hpp> and its parts, as they stand there; header_examples.py makes files of
// them. Those that read run in a group too, where events come before records.
#include <ottla.hpp>

#include <cstdlib>
#include <iostream>

using namespace std::chrono_literals;

namespace {

std::string servers;

void check(bool so, const char *what) {
    if (!so) {
        std::cerr << "not so: " << what << '\n';
        std::exit(1);
    }
}

int used = 0;
template <class... T> void use(T &&...) { used++; }
void log(const char *text) { std::cerr << text << '\n'; }
bool work(std::string_view value) { return value != "later"; }
std::string work(const ottla::RecordView &record) { return record.value().str() + " worked on"; }

void fill(const ottla::Text &topic, std::size_t count) {
    const ottla::Producer producer{{{"bootstrap.servers", servers}}};
    for (std::size_t i = 0; i < count; i++) {
        producer.send(topic, "work");
    }
    producer.close(10s);
}

std::size_t count(const ottla::Text &topic) {
    ottla::Consumer consumer{{{"bootstrap.servers", servers}, {"isolation.level", "read_committed"}}};
    consumer.assign_topic(topic, ottla::Start::earliest());
    std::size_t rows = 0;
    while (const ottla::Polled polled = consumer.poll(0, 1s)) {
        rows += polled.batch() ? polled.batch()->rows() : 0;
    }
    return rows;
}

void configuration() {
#include "config_1.inc"
    check(config.settings().size() == 3, "three settings");
}

void admin_creates() {
#include "admin_1.inc"
}

void answers() {
    ottla::Consumer consumer{{{"bootstrap.servers", servers}}};
    std::vector<std::int64_t> ends;
#include "answer_1.inc"
    check(ends.size() == 2, "an answer with an offset for each partition");
}

void producer_sends() {
#include "producer_2.inc"
}

void producer_settings() {
    ottla::Producer producer{{{"bootstrap.servers", servers}}};
#include "producer_3.inc"
#include "producer_4.inc"
#include "producer_1.inc"
    producer.flush(10s);
#include "stats_1.inc"
}

void consumer_reads() {
    used = 0;
#include "consumer_1.inc"
    check(used > 0, "records were read");
}

void group_reads() {
    ottla::Consumer consumer{{{"bootstrap.servers", servers}, {"group.id", "readers"}, {"auto.offset.reset", "earliest"}}};
#include "consumer_2.inc"
    used = 0;
    while (used == 0) {
        const ottla::Polled polled = consumer.poll(0, 10s);
        check(static_cast<bool>(polled), "a batch or an event in ten seconds");
        if (!polled.batch()) {
            check(!polled.event()->message().empty(), "every event has words");
            continue;
        }
        const ottla::Batch &batch = *polled.batch();
#include "batch_1.inc"
    }
#include "error_1.inc"
}

void share_works() {
    fill("jobs", 3);
#include "share_1.inc"
}

/// The example of a transaction, with partitions of a group.
void transactions() {
    fill("in", 5);
    ottla::Producer producer{{{"bootstrap.servers", servers}, {"transactional.id", "examples"}}};
    ottla::Consumer consumer{{{"bootstrap.servers", servers}, {"group.id", "my-group"}, {"auto.offset.reset", "earliest"}}};
    consumer.subscribe({"in"});
#include "transaction_1.inc"
    check(count("out") == 5, "five results");
#include "transaction_2.inc"
    check(count("out") == 6, "and one more");
}

void own_broker() {
    using ottla::testing::Fault;
#include "testing_2.inc"
#include "testing_1.inc"
}

} // namespace

#include "ottla_1.inc"

int main() {
    const ottla::testing::Broker broker{{{"auto.create.topics", true}, {"share.auto.offset.reset", "earliest"}}};
    servers = broker.bootstrap_servers();
    for (const char *topic : {"greetings", "jobs", "in", "out"}) {
        broker.create_topic(topic);
    }
    program();
    configuration();
    admin_creates();
    answers();
    producer_sends();
    producer_settings();
    consumer_reads();
    group_reads();
    share_works();
    transactions();
    own_broker();
}
