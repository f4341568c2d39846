package dev.headrace.connect.debezium;

import java.net.URLEncoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;

/** Rows of an outbox by their ids, as URLs write them: which are passed by, and which are larger than a record may be. */
final class OutboxRows {

    private static final String LARGEST = "largest.bytes";
    private static final String SKIPPED = "skipped.rows";

    private static final ConfigDef CONFIG = new ConfigDef()
            .define(LARGEST, ConfigDef.Type.LONG, Long.MAX_VALUE, ConfigDef.Importance.LOW,
                    "Bytes of key and payload above which a row fails by its name, as the producer would refuse it.")
            .define(SKIPPED, ConfigDef.Type.LIST, List.of(), ConfigDef.Importance.LOW,
                    "Ids of rows that become no record, as URLs write them.");

    private final String idColumn;
    private final long largest;
    private final Set<String> skipped;

    OutboxRows(Map<String, ?> configs, String idColumn) {
        Map<String, Object> set = CONFIG.parse(configs);
        this.idColumn = idColumn;
        this.largest = (Long) set.get(LARGEST);
        this.skipped = ids(set.get(SKIPPED));
    }

    /** The definition of {@code others}, with what is set for rows. */
    static ConfigDef defined(ConfigDef others) {
        CONFIG.configKeys().values().forEach(others::define);
        return others;
    }

    /** The id of a row; empty where it has none. */
    String id(Struct row) {
        Object id = row.schema().field(idColumn) == null ? null : row.get(idColumn);
        return id == null ? "" : URLEncoder.encode(PostgresText.plain(id), StandardCharsets.UTF_8);
    }

    boolean skips(Struct row) {
        return !skipped.isEmpty() && skipped.contains(id(row));
    }

    /** Fails where key and payload alone are more than a record may be. */
    void check(ConnectRecord<?> made) {
        if (made == null || atMost(made.key()) + atMost(made.value()) <= largest) {
            return;
        }
        long size = size(made.key()) + size(made.value());
        if (size > largest) {
            throw new DataException("key and payload have " + size + " bytes, and a record may have " + largest);
        }
    }

    /** What no part is larger than, so that most are not encoded only to be measured. */
    private static long atMost(Object part) {
        return part instanceof String text ? 3L * text.length() : size(part);
    }

    private static long size(Object part) {
        if (part instanceof String text) {
            return text.getBytes(StandardCharsets.UTF_8).length;
        }
        return part instanceof byte[] bytes ? bytes.length : part instanceof ByteBuffer buffer ? buffer.remaining() : 0;
    }

    private static Set<String> ids(Object listed) {
        return ((List<?>) listed).stream().map(Object::toString).collect(Collectors.toUnmodifiableSet());
    }
}
