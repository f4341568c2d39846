package dev.headrace.connect.debezium;

import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.spi.converter.CustomConverter;
import io.debezium.spi.converter.RelationalColumn;
import java.sql.Types;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.postgresql.core.Oid;

/**
 * Gives values of PostgreSQL as text that people can read: ISO 8601 for dates and times, digits for numbers of any
 * precision, and PostgreSQL's own text for each type that Debezium would leave out of the record.
 *
 * <p>A snapshot and a stream hand the same value over as different Java types; both become the same text.
 */
public final class ReadableConverter implements CustomConverter<SchemaBuilder, RelationalColumn> {

    /** Types whose text is not PostgreSQL's own, by their OID. */
    private static final Map<Integer, Function<Object, String>> FORMS = Map.of(
            Oid.DATE, PostgresText::date,
            Oid.TIMETZ, PostgresText::timeWithZone,
            Oid.TIMESTAMP, PostgresText::timestamp,
            Oid.TIMESTAMPTZ, PostgresText::timestampWithZone,
            Oid.INTERVAL, PostgresText::interval,
            Oid.MONEY, PostgresText::money,
            Oid.XML, PostgresText::xml);

    private static final Map<Integer, PostgresArray> ARRAYS = Map.ofEntries(
            Map.entry(Oid.BOOL_ARRAY, new PostgresArray(Schema.OPTIONAL_BOOLEAN_SCHEMA, "t"::equals)),
            Map.entry(Oid.INT2_ARRAY, new PostgresArray(Schema.OPTIONAL_INT64_SCHEMA, Long::valueOf)),
            Map.entry(Oid.INT4_ARRAY, new PostgresArray(Schema.OPTIONAL_INT64_SCHEMA, Long::valueOf)),
            Map.entry(Oid.INT8_ARRAY, new PostgresArray(Schema.OPTIONAL_INT64_SCHEMA, Long::valueOf)),
            Map.entry(Oid.OID_ARRAY, new PostgresArray(Schema.OPTIONAL_INT64_SCHEMA, Long::valueOf)),
            Map.entry(Oid.FLOAT4_ARRAY, new PostgresArray(Schema.OPTIONAL_FLOAT32_SCHEMA, Float::valueOf)),
            Map.entry(Oid.FLOAT8_ARRAY, new PostgresArray(Schema.OPTIONAL_FLOAT64_SCHEMA, Double::valueOf)),
            Map.entry(Oid.BYTEA_ARRAY, new PostgresArray(Schema.OPTIONAL_BYTES_SCHEMA, PostgresText::bytes)),
            Map.entry(Oid.DATE_ARRAY, new PostgresArray(PostgresText::date)),
            Map.entry(Oid.TIMETZ_ARRAY, new PostgresArray(PostgresText::timeWithZone)),
            Map.entry(Oid.TIMESTAMP_ARRAY, new PostgresArray(PostgresText::timestamp)),
            Map.entry(Oid.TIMESTAMPTZ_ARRAY, new PostgresArray(PostgresText::timestampWithZone)),
            Map.entry(Oid.INTERVAL_ARRAY, new PostgresArray(PostgresText::interval)),
            Map.entry(Oid.MONEY_ARRAY, new PostgresArray(PostgresText::money)),
            Map.entry(Oid.BOX_ARRAY, new PostgresArray(';')));

    /** A type that JSON has, too: its schema, and what a value becomes in it. */
    private record Native(Supplier<SchemaBuilder> schema, Function<Object, Object> form) {}

    /** How a boolean, and a bit, may be written that is set. */
    private static final Set<String> TRUE = Set.of("true", "t", "1");

    private static final Native WHOLE = new Native(SchemaBuilder::int64, value -> ((Number) value).longValue());
    private static final Native FLAG = new Native(SchemaBuilder::bool, value -> TRUE.contains(value.toString()));

    private static final Map<Integer, Native> NATIVES = Map.of(
            Oid.BOOL, FLAG,
            Oid.INT2, WHOLE,
            Oid.INT4, WHOLE,
            Oid.INT8, WHOLE,
            Oid.OID, WHOLE,
            Oid.FLOAT4, new Native(SchemaBuilder::float32, value -> ((Number) value).floatValue()),
            Oid.FLOAT8, new Native(SchemaBuilder::float64, value -> ((Number) value).doubleValue()),
            Oid.BYTEA, new Native(SchemaBuilder::bytes, PostgresText::bytes));

    /** Types of extensions that Debezium has a form of its own for; their OIDs differ by database. */
    private static final Set<String> EXTENSIONS =
            Set.of("hstore", "_hstore", "geometry", "_geometry", "geography", "_geography", "vector", "halfvec", "sparsevec");

    @Override
    public void configure(Properties properties) {
        // nothing can be chosen
    }

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        if (column.nativeType() == Oid.POINT || EXTENSIONS.contains(simpleName(column.typeName()))) {
            return;
        }
        Native known = isFlag(column) ? FLAG : NATIVES.get(column.nativeType());
        if (known != null) {
            register(registration, known.schema().get(), known.form());
        } else if (column.jdbcType() == Types.ARRAY) {
            PostgresArray array = ARRAYS.getOrDefault(column.nativeType(), PostgresArray.OF_TEXT);
            register(registration, array.schema(), value -> elements(array, value));
        } else {
            Function<Object, String> form = FORMS.getOrDefault(column.nativeType(), PostgresText::plain);
            register(registration, SchemaBuilder.string(), value -> text(form, value));
        }
    }

    /** Lets each column be null: also of one that is NOT NULL the old value is mostly not in the log. */
    private static void register(
            ConverterRegistration<SchemaBuilder> registration, SchemaBuilder schema, Function<Object, Object> form) {
        registration.register(schema.optional(), value -> value == null ? null : form.apply(value));
    }

    private static List<?> elements(PostgresArray array, Object value) {
        return isUnavailable(value) ? array.unavailable() : array.elements(value.toString());
    }

    /** A column's default, too, which is written nowhere and comes in a form of Debezium's own. */
    private static String text(Function<Object, String> form, Object value) {
        return isUnavailable(value) ? PostgresText.UNAVAILABLE : PostgresText.formed(form, value);
    }

    private static boolean isFlag(RelationalColumn column) {
        return column.nativeType() == Oid.BIT && column.length().orElse(0) == 1;
    }

    private static String simpleName(String typeName) {
        return typeName.substring(typeName.lastIndexOf('.') + 1).replace("\"", "");
    }

    private static boolean isUnavailable(Object value) {
        return UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value);
    }
}
