import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * A member of a group, by Kafka's own client, for tests of groups with members of several kinds. Arguments: bootstrap
 * servers, group, topic, then configuration as key=value. Tells on its output what it has ("has 0 1 2") whenever that
 * changes, and what it reads ("read PARTITION OFFSET"); ends when its input does.
 */
public final class Member {
    private static final TreeSet<Integer> OWNED = new TreeSet<>();

    private static void tell() {
        StringBuilder line = new StringBuilder("has");
        OWNED.forEach(partition -> line.append(' ').append(partition));
        System.out.println(line);
    }

    public static void main(String[] arguments) throws Exception {
        Properties config = new Properties();
        config.put("bootstrap.servers", arguments[0]);
        config.put("group.id", arguments[1]);
        config.put("auto.offset.reset", "earliest");
        config.put("key.deserializer", ByteArrayDeserializer.class.getName());
        config.put("value.deserializer", ByteArrayDeserializer.class.getName());
        for (int i = 3; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            config.put(pair[0], pair[1]);
        }
        AtomicBoolean done = new AtomicBoolean();
        Thread input = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    // Nothing is said, only the end counts.
                }
            } catch (java.io.IOException e) {
                // The end, too.
            }
            done.set(true);
        });
        input.setDaemon(true);
        input.start();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config)) {
            consumer.subscribe(List.of(arguments[2]), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    partitions.forEach(p -> OWNED.add(p.partition()));
                    tell();
                }

                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    partitions.forEach(p -> OWNED.remove(p.partition()));
                    tell();
                }
            });
            while (!done.get()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    System.out.println("read " + record.partition() + " " + record.offset());
                }
            }
        }
    }
}
