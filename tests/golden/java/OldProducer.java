import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Produces batches of records by the means that every Kafka client since 0.9 has, which runs it. */
public final class OldProducer {
    public static void main(String[] arguments) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("compression.type", arguments[2]);
        settings.put("acks", "all");
        // Not in formats 0 and 1.
        settings.put("enable.idempotence", "false");
        settings.put("linger.ms", "5000");
        settings.put("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        settings.put("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer");
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings)) {
            for (int batch = 0; batch < Integer.parseInt(arguments[3]); batch++) {
                send(producer, arguments[1], utf8("key"), utf8("value"));
                send(producer, arguments[1], utf8("once " + batch), utf8("short"));
                send(producer, arguments[1], utf8("no value"), null);
                send(producer, arguments[1], utf8("empty"), new byte[0]);
                send(producer, arguments[1], utf8("key"), utf8("value again"));
                byte[] large = new byte[300];
                Arrays.fill(large, (byte) ('a' + batch));
                send(producer, arguments[1], utf8("large"), large);
                send(producer, arguments[1], utf8("also once " + batch), utf8("last but two"));
                if (!arguments[1].contains("compacted")) {
                    send(producer, arguments[1], null, utf8("no key"));
                    send(producer, arguments[1], null, null);
                }
                producer.flush();
            }
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, byte[] key, byte[] value) {
        producer.send(new ProducerRecord<>(topic, 0, key, value), (metadata, error) -> {
            if (error != null) {
                error.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
        });
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
