package dev.headrace.connect.debezium;

import io.debezium.transforms.outbox.EventRouter;
import io.debezium.transforms.outbox.EventRouterConfigDefinition;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Debezium's outbox event router, which no route stops: one that is no part of a topic's name is made one first. A row
 * that cannot become a record is named in the failure, and may be passed by ({@link OutboxRows}).
 */
public final class OutboxRouter<R extends ConnectRecord<R>> extends EventRouter<R> {

    private static final Logger LOG = LoggerFactory.getLogger(OutboxRouter.class);
    private static final String AFTER = "after";

    private static final int MOST_TOLD = 1000;

    private final Set<String> told = new HashSet<>();
    private String routeColumn;
    private String idColumn;
    private Route route;
    private OutboxRows rows;

    @Override
    public void configure(Map<String, ?> configs) {
        super.configure(configs);
        routeColumn = value(configs, EventRouterConfigDefinition.ROUTE_BY_FIELD);
        idColumn = value(configs, EventRouterConfigDefinition.FIELD_EVENT_ID);
        String topic = value(configs, EventRouterConfigDefinition.ROUTE_TOPIC_REPLACEMENT);
        route = new Route(topic.replace("${routedByValue}", "").length());
        rows = new OutboxRows(configs, idColumn);
    }

    @Override
    public ConfigDef config() {
        return OutboxRows.defined(super.config());
    }

    private static String value(Map<String, ?> configs, io.debezium.config.Field field) {
        Object set = configs.get(field.name());
        return set == null ? field.defaultValueAsString() : set.toString();
    }

    @Override
    public R apply(R message) {
        boolean isRow = message.value() instanceof Struct change && change.schema().field(AFTER) != null;
        Struct row = isRow ? ((Struct) message.value()).getStruct(AFTER) : null;
        return row == null ? super.apply(message) : made(message, row);
    }

    private R made(R message, Struct row) {
        if (rows.skips(row)) {
            LOG.warn("The outbox row with id {} is passed by, as was asked: it becomes no record", rows.id(row));
            return null;
        }
        try {
            R made = super.apply(routed(message, row));
            rows.check(made);
            return made;
        } catch (RuntimeException e) {
            throw new DataException("The outbox row with id " + rows.id(row) + " cannot become a record: " + e.getMessage(), e);
        }
    }

    private R routed(R message, Struct row) {
        if (row.schema().field(routeColumn) == null) {
            return message;
        }
        Object written = row.getWithoutDefault(routeColumn);
        String safe = route.safe(written);
        if (safe.equals(written)) {
            return message;
        }
        warn(row, written, safe);
        Struct changed = with((Struct) message.value(), AFTER, with(row, routeColumn, safe, Schema.STRING_SCHEMA));
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
