package dev.headrace.connect.debezium;

import java.net.URLEncoder;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.storage.Converter;

/**
 * JSON as Kafka's own converter writes it, of no more bytes than a record may have: what is larger fails by its topic
 * and its largest column, before the producer refuses it, which names neither. No value is told.
 */
public final class BoundedConverter implements Converter {

    private static final String LARGEST = "largest.bytes";
    private static final String AFTER = "after";

    private static final ConfigDef CONFIG = new ConfigDef()
            .define(LARGEST, ConfigDef.Type.LONG, Long.MAX_VALUE, ConfigDef.Importance.LOW,
                    "Bytes above which a value fails by its topic, as the producer would refuse it.");

    private final JsonConverter json = new JsonConverter();
    private long largest = Long.MAX_VALUE;

    @Override
    public ConfigDef config() {
        ConfigDef all = new ConfigDef(json.config());
        CONFIG.configKeys().values().forEach(all::define);
        return all;
    }

    @Override
    public void configure(Map<String, ?> configs, boolean isKey) {
        json.configure(configs, isKey);
        largest = (Long) CONFIG.parse(configs).get(LARGEST);
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        byte[] bytes = json.fromConnectData(topic, schema, value);
        if (bytes != null && bytes.length > largest) {
            throw new DataException("A record for topic " + topic + " has " + bytes.length + " bytes"
                    + largestColumn(value) + ", and a record may have " + largest);
        }
        return bytes;
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] value) {
        return json.toConnectData(topic, value);
    }

    @Override
    public void close() {
        json.close();
    }

    /** Says which column of a row has most of it, its name as URLs write it; nothing of what is no row. */
    private static String largestColumn(Object value) {
        if (!(value instanceof Struct change) || change.schema().field(AFTER) == null || change.get(AFTER) == null) {
            return "";
        }
        Struct row = change.getStruct(AFTER);
        return row.schema().fields().stream()
                .max(Comparator.comparingLong(field -> size(row, field)))
                .map(field -> ", column " + URLEncoder.encode(field.name(), StandardCharsets.UTF_8) + " " + size(row, field))
                .orElse("");
    }

    private static long size(Struct row, Field field) {
        Object part = row.getWithoutDefault(field.name());
        if (part instanceof byte[] bytes) {
            return bytes.length;
        }
        if (part instanceof ByteBuffer buffer) {
            return buffer.remaining();
        }
        return part == null ? 0 : part.toString().getBytes(StandardCharsets.UTF_8).length;
    }
}
