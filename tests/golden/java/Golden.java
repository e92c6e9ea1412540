import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.DefaultRecordBatch;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;
import org.apache.kafka.common.utils.Utils;

/** Writes record batches made by Kafka's own classes, and its key hashes, into a directory. */
public final class Golden {
    private static final byte V2 = RecordBatch.MAGIC_VALUE_V2;
    private static final long NOW = 1_700_000_000_000L;
    private static final long NOBODY = RecordBatch.NO_PRODUCER_ID;
    private static final short NO_EPOCH = RecordBatch.NO_PRODUCER_EPOCH;
    private static final int NO_SEQUENCE = RecordBatch.NO_SEQUENCE;

    private static final byte[] NULL = null;

    private static Path directory;

    public static void main(String[] arguments) throws IOException {
        directory = Path.of(arguments[0]);
        Compression none = Compression.NONE;

        write("plain.bin", MemoryRecords.withRecords(none, various()));
        write("lengths.bin", MemoryRecords.withRecords(none, lengths()));
        write("times.bin", MemoryRecords.withRecords(none, times()));
        write("idempotent.bin", MemoryRecords.withIdempotentRecords(1_000_000_000_000L, none, 4242, (short) 3, 17, 7,
                various()));
        write("sequence-wraps.bin", MemoryRecords.withIdempotentRecords(none, 1, (short) 0, Integer.MAX_VALUE - 1,
                small(4)));
        write("append-time.bin", appendTime(none));
        write("append-time-zstd.bin", appendTime(Compression.zstd().build()));
        write("gaps.bin", gaps());
        write("empty.bin", empty());
        write("tombstones.bin", tombstones());
        write("transactions.bin",
                MemoryRecords.withTransactionalRecords(100, none, 9, (short) 1, 0, 2, small(3)),
                MemoryRecords.withEndTransactionMarker(103, NOW, 2, 9, (short) 1,
                        new EndTransactionMarker(ControlRecordType.COMMIT, 5)),
                MemoryRecords.withTransactionalRecords(104, Compression.lz4().build(), 9, (short) 1, 3, 2, small(3)),
                MemoryRecords.withEndTransactionMarker(107, NOW, 2, 9, (short) 1,
                        new EndTransactionMarker(ControlRecordType.ABORT, 6)));
        write("leader-change.bin", MemoryRecords.withLeaderChangeMessage(0, NOW, 3, ByteBuffer.allocate(512),
                new LeaderChangeMessage().setLeaderId(1)));
        write("old-format.bin", MemoryRecords.withRecords(RecordBatch.MAGIC_VALUE_V1, none,
                new SimpleRecord(NOW, utf8("k"), utf8("v"))));
        for (CompressionType type : CompressionType.values()) {
            Compression compression = Compression.of(type).build();
            if (type != CompressionType.NONE) {
                write(type.name + ".bin", MemoryRecords.withRecords(compression, various()));
                write(type.name + "-large.bin", MemoryRecords.withRecords(compression, large()));
            }
        }
        murmur2();
    }

    /** Every kind of absence, headers that repeat and are null, timestamps that go back. */
    private static SimpleRecord[] various() {
        Header[] headers = {
            new RecordHeader("trace", utf8("first")), new RecordHeader("trace", utf8("second")),
            new RecordHeader("null", null), new RecordHeader("empty", new byte[0]), new RecordHeader("", utf8("no name")),
            new RecordHeader("grüß", new byte[] {0, (byte) 0xff, (byte) 0x80}),
        };
        return new SimpleRecord[] {
            new SimpleRecord(NOW, utf8("key"), utf8("value")),
            new SimpleRecord(NOW + 5, null, utf8("no key")),
            new SimpleRecord(NOW - 1000, utf8("no value"), null),
            new SimpleRecord(NOW - 1000, NULL, NULL),
            new SimpleRecord(NOW + 1, new byte[0], new byte[0]),
            new SimpleRecord(NOW + 2, utf8("headers"), utf8("all kinds"), headers),
            new SimpleRecord(NOW + 2, NULL, NULL, new Header[] {new RecordHeader("only", utf8("header"))}),
        };
    }

    /** Around every length at which a varint of a field or of the whole record grows. */
    private static SimpleRecord[] lengths() {
        List<SimpleRecord> records = new ArrayList<>();
        for (int length : new int[] {0, 1, 50, 55, 56, 57, 58, 62, 63, 64, 65, 127, 128, 8183, 8184}) {
            records.add(new SimpleRecord(NOW, null, filled(length)));
            records.add(new SimpleRecord(NOW, filled(Math.min(length, 128)), null));
        }
        return records.toArray(new SimpleRecord[0]);
    }

    /** Timestamp differences of every width, none, and a batch whose first is not its least. */
    private static SimpleRecord[] times() {
        long[] times = {NOW, NOW + 63, NOW - 64, NOW + 64, NOW + 8192, NOW - (1L << 31), NOW + (1L << 40), 0, -1};
        SimpleRecord[] records = new SimpleRecord[times.length];
        for (int i = 0; i < times.length; i++) {
            records[i] = new SimpleRecord(times[i], utf8("k" + i), utf8("v" + i));
        }
        return records;
    }

    private static SimpleRecord[] small(int count) {
        SimpleRecord[] records = new SimpleRecord[count];
        for (int i = 0; i < count; i++) {
            records[i] = new SimpleRecord(NOW + i, utf8("key-" + i), utf8("value-" + i));
        }
        return records;
    }

    /** Some 150 kB of text and noise, so that codecs with blocks write several, some of them stored. */
    private static SimpleRecord[] large() {
        Random random = new Random(7);
        SimpleRecord[] records = new SimpleRecord[40];
        for (int i = 0; i < records.length; i++) {
            byte[] value = utf8(("record " + i + " says the same as the others did; ").repeat(100));
            if (i >= 38) {
                random.nextBytes(value);
            }
            records[i] = new SimpleRecord(NOW + i, utf8("key-" + i), value);
        }
        return records;
    }

    private static MemoryRecords appendTime(Compression compression) {
        try (MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), V2, compression,
                TimestampType.LOG_APPEND_TIME, 500, NOW + 99)) {
            for (SimpleRecord record : various()) {
                builder.append(record);
            }
            return builder.build();
        }
    }

    /** What compaction leaves: offsets with gaps, and a last offset whose record is gone. */
    private static MemoryRecords gaps() {
        try (MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), V2, Compression.NONE,
                TimestampType.CREATE_TIME, 10, NOW, 77, (short) 2, 30)) {
            for (long offset : new long[] {15, 19, 200}) {
                builder.appendWithOffset(offset, new SimpleRecord(NOW, utf8("k" + offset), utf8("v")));
            }
            builder.overrideLastOffset(300);
            return builder.build();
        }
    }

    /** What compaction leaves of a producer's last batch: a header that keeps its sequence, and no record. */
    private static MemoryRecords empty() {
        ByteBuffer buffer = ByteBuffer.allocate(DefaultRecordBatch.RECORD_BATCH_OVERHEAD);
        DefaultRecordBatch.writeEmptyHeader(buffer, V2, 77, (short) 2, 30, 1000, 1009, 4, TimestampType.CREATE_TIME, NOW,
                false, false);
        buffer.flip();
        return MemoryRecords.readableRecords(buffer);
    }

    /** A compacted batch that waits for its delete horizon: the base timestamp stands for that. */
    private static MemoryRecords tombstones() {
        try (MemoryRecordsBuilder builder = new MemoryRecordsBuilder(new ByteBufferOutputStream(4096), V2, Compression.NONE,
                TimestampType.CREATE_TIME, 40, RecordBatch.NO_TIMESTAMP, NOBODY, NO_EPOCH, NO_SEQUENCE, false, false, 1,
                4096, NOW + 86_400_000)) {
            builder.append(new SimpleRecord(NOW, utf8("gone"), null));
            builder.append(new SimpleRecord(NOW + 3, utf8("gone too"), null));
            return builder.build();
        }
    }

    /** The keys are made alike in tests/golden.rs; the hashes go into a file as int32, in order. */
    private static void murmur2() throws IOException {
        int state = 1;
        int[] counts = {1, 2, 3, 7, 12, 100, 127};
        try (DataOutputStream hashes = new DataOutputStream(Files.newOutputStream(directory.resolve("murmur2.bin")));
                DataOutputStream partitions = new DataOutputStream(
                        Files.newOutputStream(directory.resolve("partitions.bin")))) {
            for (int i = 0; i < 10_000; i++) {
                byte[] key = new byte[i % 41];
                for (int at = 0; at < key.length; at++) {
                    state = state * 1_103_515_245 + 12_345;
                    key[at] = (byte) (state >>> 16);
                }
                hashes.writeInt(Utils.murmur2(key));
                // Which count a key is tried with goes round, so that the file stays small.
                partitions.writeByte(BuiltInPartitioner.partitionForKey(key, counts[i % counts.length]));
            }
        }
    }

    private static byte[] filled(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) ('a' + i % 26);
        }
        return bytes;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static void write(String name, MemoryRecords... batches) throws IOException {
        try (var out = Files.newOutputStream(directory.resolve(name))) {
            for (MemoryRecords batch : batches) {
                ByteBuffer buffer = batch.buffer().duplicate();
                byte[] bytes = new byte[buffer.remaining()];
                buffer.get(bytes);
                out.write(bytes);
            }
        }
    }
}
