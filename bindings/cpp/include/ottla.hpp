// Ottla, a Kafka client, for C++17: a header over the C API of <ottla.h>; link with libottla.
//
//     #include <ottla.hpp>
//     using namespace std::chrono_literals;
//
//     int main() {
//         ottla::testing::Broker broker;                         // or a Kafka of your own
//         broker.create_topic("greetings");
//         const ottla::Config config{{"bootstrap.servers", broker.bootstrap_servers()}};
//
//         ottla::Producer producer(config);
//         producer.send("greetings", "hello");
//         producer.flush(10s);
//
//         ottla::Consumer consumer(config);
//         consumer.assign_topic("greetings", ottla::Start::earliest());
//         const ottla::Polled polled = consumer.poll(100, 10s);
//         if (const ottla::Batch *batch = polled.batch())    // or an event, or nothing
//             for (ottla::RecordView record : *batch)
//                 std::cout << record.offset() << ": " << *record.value() << '\n';
//     }
//
// Errors. Everything that can fail throws ottla::Error. Everything that can fail also has a twin `try_…` (for
// constructors: `open`) that returns an ottla::Result instead and throws nothing; with -fno-exceptions those are the
// ones to call: the throwing ones then print the error and abort, as the standard library does.
//
// Lifetimes. Clients, batches, completions and events are move-only and own what they are named after. What goes in
// (Text, Bytes, Span, Column) is viewed during the call and copied by it. What comes out of a batch (RecordView, Bytes,
// Segment) is a view, valid as long as the batch is; batches, completions, events and errors outlive their client.
//
// Threads. A `const` function may be called from many threads at once, also beside a non-const one; the non-const
// functions, the polls of Consumer and ShareConsumer, are for one thread at a time. No code of yours ever runs on Ottla's thread; a
// partitioner, the one callback, runs inside your own sending calls. Timeouts are any std::chrono duration, or ottla::no_limit.
#ifndef OTTLA_HPP
#define OTTLA_HPP

#include "ottla/admin.hpp"
#include "ottla/answer.hpp"
#include "ottla/batch.hpp"
#include "ottla/columns.hpp"
#include "ottla/config.hpp"
#include "ottla/consumer.hpp"
#include "ottla/error.hpp"
#include "ottla/partitioner.hpp"
#include "ottla/producer.hpp"
#include "ottla/share.hpp"
#include "ottla/stats.hpp"
#include "ottla/testing.hpp"
#include "ottla/transaction.hpp"
#include "ottla/types.hpp"

#endif
