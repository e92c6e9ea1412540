import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;

/** Prints what Kafka's own classes read in files of record batches, one JSON line for each batch and each record. */
public final class Describe {
    /** Longer byte strings are given as length and CRC-32C. */
    private static final int WHOLE = 64;

    public static void main(String[] files) throws IOException {
        for (String file : files) {
            describe(Path.of(file), System.out);
        }
    }

    static void describe(Path file, PrintStream out) throws IOException {
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file)));
        String name = file.getFileName().toString();
        for (MutableRecordBatch batch : records.batches()) {
            batch.ensureValid();
            out.printf("{\"file\": \"%s\", \"base_offset\": %d, \"last_offset\": %d, \"size\": %d, \"magic\": %d, "
                    + "\"codec\": \"%s\", \"append_time\": %b, \"max_timestamp\": %d, \"count\": %s, \"producer_id\": %d, "
                    + "\"producer_epoch\": %d, \"base_sequence\": %d, \"last_sequence\": %d, \"transactional\": %b, "
                    + "\"control\": %b, \"leader_epoch\": %d, \"delete_horizon\": %s}%n",
                    name, batch.baseOffset(), batch.lastOffset(), batch.sizeInBytes(), batch.magic(),
                    batch.compressionType().name, batch.timestampType() == TimestampType.LOG_APPEND_TIME,
                    batch.maxTimestamp(), batch.countOrNull(), batch.producerId(), batch.producerEpoch(),
                    batch.baseSequence(), batch.lastSequence(), batch.isTransactional(), batch.isControlBatch(),
                    batch.partitionLeaderEpoch(),
                    batch.deleteHorizonMs().isPresent() ? batch.deleteHorizonMs().getAsLong() : "null");
            for (Record record : batch) {
                StringBuilder headers = new StringBuilder();
                for (Header header : record.headers()) {
                    headers.append(headers.length() == 0 ? "" : ", ").append("[")
                            .append(bytes(header.key().getBytes(StandardCharsets.UTF_8))).append(", ")
                            .append(bytes(header.value())).append("]");
                }
                out.printf("{\"offset\": %d, \"timestamp\": %d, \"key\": %s, \"value\": %s, \"headers\": [%s]}%n",
                        record.offset(), record.timestamp(), bytes(array(record.key())), bytes(array(record.value())),
                        headers);
            }
        }
    }

    private static byte[] array(ByteBuffer buffer) {
        if (buffer == null) {
            return null;
        }
        byte[] array = new byte[buffer.remaining()];
        buffer.duplicate().get(array);
        return array;
    }

    private static String bytes(byte[] array) {
        if (array == null) {
            return "null";
        }
        if (array.length <= WHOLE) {
            return '"' + HexFormat.of().formatHex(array) + '"';
        }
        CRC32C crc = new CRC32C();
        crc.update(array);
        return String.format("{\"length\": %d, \"crc32c\": %d}", array.length, crc.getValue());
    }
}
