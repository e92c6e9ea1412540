import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** Commits one transaction and aborts another: Transactions BOOTSTRAP TOPIC CODEC. */
public final class Transactions {
    public static void main(String[] arguments) {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "transactional.id", "golden",
                "compression.type", arguments[2]);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            for (String outcome : new String[] {"committed", "aborted"}) {
                producer.beginTransaction();
                for (int i = 0; i < 5; i++) {
                    var record = new ProducerRecord<>(arguments[1], "key-" + i, outcome + "-" + i);
                    record.headers().add("outcome", outcome.getBytes());
                    producer.send(record);
                }
                producer.flush();
                if (outcome.equals("committed")) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
    }
}
