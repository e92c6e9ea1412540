// Ottla through <ottla.hpp>; see bench.h for the command line. --single sends and reads record by record.
#include "bench.h"

#include <ottla.hpp>

#include <atomic>
#include <thread>

using namespace std::chrono_literals;

namespace {

constexpr auto idle_limit = 60s;
constexpr std::uint64_t token = 1;

ottla::Config configuration(const bench_options &o) {
    ottla::Config config{{"bootstrap.servers", o.bootstrap}};
    if (o.produce) {
        config.set("compression.type", o.codec);
    }
    for (int i = 0; i < o.setting_count; i++) {
        const std::string_view setting(o.settings[i]);
        const std::size_t equals = setting.find('=');
        config.set(setting.substr(0, equals), setting.substr(equals + 1));
    }
    return config;
}

/// The headers every record has.
std::vector<ottla::Header> headers(const bench_options &o) {
    std::vector<ottla::Header> all;
    for (int i = 0; i < o.headers; i++) {
        all.push_back(i % 2 == 0 ? ottla::Header("trace", HEADER_VALUE) : ottla::Header("source", "bench"));
    }
    return all;
}

/// Counts what completions say was written.
std::uint64_t drain(const ottla::Producer &producer, ottla::Timeout timeout) {
    std::uint64_t written = 0;
    for (const ottla::Completion completion : producer.poll(10'000, timeout)) {
        if (!completion.written()) {
            bench_fail("delivery", completion.error()->what());
        }
        written += completion.count();
    }
    return written;
}

void send_single(const ottla::Producer &producer, const bench_options &o, const bench_payload &p, std::uint64_t first,
                 std::uint64_t n, std::atomic<std::uint64_t> &written) {
    const auto all_headers = headers(o);
    std::uint64_t row = first % p.rows;
    for (std::uint64_t i = 0; i < n; i++) {
        ottla::Record record{o.topic, ottla::Bytes(p.values + row * o.size, o.size)};
        if (o.keyed) {
            record.key = ottla::Bytes(p.keys + row * KEY_SIZE, KEY_SIZE);
        }
        record.headers = all_headers;
        record.token = token;
        producer.send(record);
        if (++row == p.rows) {
            row = 0;
        }
        if (i % 10'000 == 0) {
            written += drain(producer, 0s);
        }
    }
}

/// The whole payload again and again, a call each time.
void send_columns(const ottla::Producer &producer, const bench_options &o, const bench_payload &p, std::uint64_t first,
                  std::uint64_t n, std::atomic<std::uint64_t> &written) {
    const std::vector<std::int32_t> value_lengths(p.rows, static_cast<std::int32_t>(o.size));
    const std::vector<std::int32_t> key_lengths(p.rows, KEY_SIZE);
    const auto all_headers = headers(o);
    ottla::HeaderColumn header_column;
    ottla::BatchOptions options;
    options.token = token;
    for (std::uint64_t row = first % p.rows; n > 0; row = 0) {
        const std::uint64_t rows = std::min(n, p.rows - row);
        const auto values =
            ottla::Column::lengths(ottla::Bytes(p.values + row * o.size, rows * o.size), {value_lengths.data(), rows});
        const auto keys =
            ottla::Column::lengths(ottla::Bytes(p.keys + row * KEY_SIZE, rows * KEY_SIZE), {key_lengths.data(), rows});
        if (o.keyed) {
            options.keys = &keys;
        }
        if (o.headers > 0 && header_column.rows() != rows) {
            header_column.clear();
            for (std::uint64_t i = 0; i < rows; i++) {
                header_column.add(all_headers);
            }
            options.headers = &header_column;
        }
        n -= producer.send_batch(o.topic, values, options);
        written += drain(producer, 0s);
    }
}

void produce(const bench_options &o, const bench_payload &p) {
    const ottla::Producer producer(configuration(o));
    const auto send = o.single ? send_single : send_columns;
    std::atomic<std::uint64_t> written{0};
    std::vector<std::thread> threads;
    const double begun = bench_now();
    std::uint64_t first = 0;
    if (o.warm) {
        first = 1;
        send(producer, o, p, 0, first, written);
        producer.flush(idle_limit);
    }
    const std::uint64_t left = o.n - first;
    for (int i = 0; i < o.threads; i++) {
        const auto count = static_cast<std::uint64_t>(o.threads);
        const std::uint64_t n = left / count + (static_cast<std::uint64_t>(i) < left % count ? 1 : 0);
        if (o.threads == 1) {
            send(producer, o, p, first, n, written);
        } else {
            threads.emplace_back([&, first, n] { send(producer, o, p, first, n, written); });
        }
        first += n;
    }
    for (std::thread &thread : threads) {
        thread.join();
    }
    while (written < o.n) {
        const std::uint64_t more = drain(producer, idle_limit);
        if (more == 0) {
            bench_fail("produce", "not everything was delivered");
        }
        written += more;
    }
    bench_report(written, bench_now() - begun, 0);
}

std::uint64_t add(const ottla::RecordView &record) {
    const ottla::Bytes key = record.key(), value = record.value();
    return bench_checksum(record.offset(), key.data(), key.size(), value.data(), value.size());
}

void consume(const bench_options &o) {
    ottla::Consumer consumer(configuration(o));
    std::vector<ottla::Assignment> assignments;
    for (int i = 0; i < o.partitions; i++) {
        assignments.push_back({o.topic, i, ottla::Start::offset(0)});
    }
    const double begun = bench_now();
    consumer.assign(assignments);
    std::uint64_t got = 0, checksum = 0;
    while (got < o.n) {
        const ottla::Polled polled = consumer.poll(std::min<std::uint64_t>(o.n - got, 10'000), idle_limit);
        if (const ottla::Event *event = polled.event()) {
            bench_fail("consume", std::string(event->message()).c_str());
        }
        const ottla::Batch *batch = polled.batch();
        if (!batch) {
            bench_fail("consume", "nothing came for 60 s");
        }
        if (o.single) {
            for (std::size_t row = 0; row < batch->rows(); row++) {
                checksum += add((*batch)[row]);
            }
        } else {
            for (const ottla::RecordView record : *batch) {
                checksum += add(record);
            }
        }
        got += batch->rows();
    }
    bench_report(got, bench_now() - begun, checksum);
}

} // namespace

int main(int argc, char **argv) {
    const bench_options o = bench_parse(argc, argv);
    bench_payload p = bench_load(&o);
    try {
        o.produce ? produce(o, p) : consume(o);
    } catch (const ottla::Error &error) {
        bench_fail(o.produce ? "produce" : "consume", error.what());
    }
    std::free(p.values);
    std::free(p.keys);
    return 0;
}
