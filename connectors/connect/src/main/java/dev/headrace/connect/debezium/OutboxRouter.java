package dev.headrace.connect.debezium;

import io.debezium.transforms.outbox.EventRouter;
import io.debezium.transforms.outbox.EventRouterConfigDefinition;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Debezium's outbox event router, which no route stops: one that is no part of a topic's name is made one first. */
public final class OutboxRouter<R extends ConnectRecord<R>> extends EventRouter<R> {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxRouter.class);
    private static final String AFTER = "after";

    private static final int MOST_TOLD = 1000;

    private final Set<String> told = new HashSet<>();
    private String routeColumn;
    private String idColumn;
    private Route route;

    @Override
    public void configure(Map<String, ?> configs) {
        super.configure(configs);
        routeColumn = value(configs, EventRouterConfigDefinition.ROUTE_BY_FIELD);
        idColumn = value(configs, EventRouterConfigDefinition.FIELD_EVENT_ID);
        String topic = value(configs, EventRouterConfigDefinition.ROUTE_TOPIC_REPLACEMENT);
        route = new Route(topic.replace("${routedByValue}", "").length());
    }

    private static String value(Map<String, ?> configs, io.debezium.config.Field field) {
        Object set = configs.get(field.name());
        return set == null ? field.defaultValueAsString() : set.toString();
    }

    @Override
    public R apply(R message) {
        boolean isRow = message.value() instanceof Struct change && change.schema().field(AFTER) != null;
        return super.apply(isRow ? routed(message, (Struct) message.value()) : message);
    }

    private R routed(R message, Struct change) {
        Struct row = change.getStruct(AFTER);
        if (row == null || row.schema().field(routeColumn) == null) {
            return message;
        }
        Object written = row.getWithoutDefault(routeColumn);
        String safe = route.safe(written);
        if (safe.equals(written)) {
            return message;
        }
        warn(row, written, safe);
        Struct changed = with(change, AFTER, with(row, routeColumn, safe, Schema.STRING_SCHEMA));
        return message.newRecord(
                message.topic(), message.kafkaPartition(), message.keySchema(), message.key(),
                changed.schema(), changed, message.timestamp(), message.headers());
    }

    private void warn(Struct row, Object written, String safe) {
        if (safe.equals(Route.NONE)) {
            boolean hasId = row.schema().field(idColumn) != null;
            LOG.warn("The outbox row with {} {} has no route: it goes to {}", idColumn, hasId ? row.get(idColumn) : "-", safe);
        } else if (told.size() < MOST_TOLD && told.add(safe)) {
            LOG.warn("The route {} is no part of a topic's name: rows that have it go to {}", written, safe);
        }
    }

    private static Struct with(Struct struct, String name, Struct value) {
        return with(struct, name, value, value.schema());
    }

    private static Struct with(Struct struct, String name, Object value, Schema schema) {
        Struct changed = new Struct(with(struct.schema(), name, schema));
        for (Field field : struct.schema().fields()) {
            changed.put(field.name(), field.name().equals(name) ? value : struct.getWithoutDefault(field.name()));
        }
        return changed;
    }

    private static Schema with(Schema schema, String name, Schema part) {
        SchemaBuilder changed = SchemaBuilder.struct().name(schema.name()).version(schema.version());
        for (Field field : schema.fields()) {
            changed.field(field.name(), field.name().equals(name) ? part : field.schema());
        }
        return changed.build();
    }
}
