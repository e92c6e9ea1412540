import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own client; the command line is that of ../bench.h. */
public final class Bench {
    private static final int KEY_SIZE = 16;
    private static final long IDLE_LIMIT_NS = 60_000_000_000L;

    private final Map<String, String> options = new HashMap<>();
    private final long n;
    private final int size;
    private long checksum;
    /** From making the client to a group's first record; -1 without a group. */
    private double firstMs = -1;

    private Bench(String[] arguments) {
        for (int i = 1; i < arguments.length; i++) {
            boolean flag = arguments[i].equals("--keyed") || arguments[i].equals("--single")
                    || arguments[i].equals("--group");
            options.put(arguments[i], flag ? "" : arguments[++i]);
        }
        n = Long.parseLong(options.get("--n"));
        size = Integer.parseInt(options.get("--size"));
    }

    public static void main(String[] arguments) throws Exception {
        Bench bench = new Bench(arguments);
        double wall = arguments[0].equals("produce") ? bench.produce() : bench.consume();
        double peak = Files.readAllLines(Path.of("/proc/self/status")).stream().filter(l -> l.startsWith("VmHWM:"))
                .mapToDouble(l -> Long.parseLong(l.replaceAll("\\D", "")) * 1024e-6).sum();
        double cpu = ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toNanos() * 1e-9;
        String first = bench.firstMs < 0 ? "" : String.format(", \"first_ms\": %.1f", bench.firstMs);
        System.out.printf("{\"n\": %d, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"peak_mb\": %.1f, \"checksum\": %d%s}%n",
                bench.n, wall, cpu, peak, bench.checksum, first);
    }

    private double produce() throws IOException {
        byte[] payload = Files.readAllBytes(Path.of(options.get("--payload")));
        byte[][] values = IntStream.range(0, payload.length / size)
                .mapToObj(i -> Arrays.copyOfRange(payload, i * size, (i + 1) * size)).toArray(byte[][]::new);
        byte[][] keys = IntStream.range(0, values.length).mapToObj(i -> options.containsKey("--keyed")
                ? String.format("%0" + KEY_SIZE + "d", i).getBytes(StandardCharsets.US_ASCII) : null)
                .toArray(byte[][]::new);
        boolean headers = options.containsKey("--headers");
        String topic = options.get("--topic");
        Map<String, Object> settings = Map.of("bootstrap.servers", options.get("--bootstrap"), "acks", "all",
                "linger.ms", 5, "batch.size", 1_000_000, "buffer.memory", 134_217_728L, "compression.type",
                options.getOrDefault("--codec", "none"));
        AtomicLong delivered = new AtomicLong();
        long begun = System.nanoTime();
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (long i = 0; i < n; i++) {
                int row = (int) (i % values.length);
                var record = new ProducerRecord<>(topic, keys[row], values[row]);
                if (headers) {
                    record.headers().add("trace", "0123456789abcdef".getBytes(StandardCharsets.US_ASCII))
                            .add("source", "bench".getBytes(StandardCharsets.US_ASCII));
                }
                producer.send(record, (metadata, error) -> {
                    if (error == null) {
                        delivered.incrementAndGet();
                    }
                });
            }
            producer.flush();
        }
        if (delivered.get() != n) {
            throw new IllegalStateException(delivered + " of " + n + " delivered");
        }
        return (System.nanoTime() - begun) * 1e-9;
    }

    private double consume() {
        boolean group = options.containsKey("--group");
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", options.get("--bootstrap"),
                "max.poll.records", 10_000, "max.partition.fetch.bytes", 8 << 20, "check.crcs", false,
                "enable.auto.commit", false, "auto.offset.reset", "earliest"));
        if (group) {
            settings.put("group.id", "bench-java-" + ProcessHandle.current().pid() + "-" + System.nanoTime());
            settings.put("group.protocol", "consumer");
        }
        List<TopicPartition> partitions = IntStream.range(0, Integer.parseInt(options.get("--partitions")))
                .mapToObj(p -> new TopicPartition(options.get("--topic"), p)).toList();
        long begun = System.nanoTime();
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            if (group) {
                consumer.subscribe(List.of(options.get("--topic")));
            } else {
                consumer.assign(partitions);
            }
            long got = 0;
            long last = begun;
            while (got < n) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(1000));
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    if (got++ < n) {
                        add(record.offset(), record.key(), record.value());
                    }
                }
                long now = System.nanoTime();
                if (!records.isEmpty()) {
                    if (group && firstMs < 0) {
                        firstMs = (now - begun) * 1e-6;
                    }
                    last = now;
                } else if (now - last > IDLE_LIMIT_NS) {
                    throw new IllegalStateException("nothing came for 60 s");
                }
            }
        }
        return (System.nanoTime() - begun) * 1e-9;
    }

    private void add(long offset, byte[] key, byte[] value) {
        checksum += offset + value.length + (value[0] & 0xff) + (value[value.length - 1] & 0xff);
        if (key != null) {
            checksum += key.length + key[key.length - 1];
        }
    }
}
