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

    /** Types that Debezium itself writes well. */
    private static final Set<Integer> WELL = Set.of(
            Oid.BOOL, Oid.BYTEA, Oid.INT2, Oid.INT4, Oid.INT8, Oid.OID, Oid.FLOAT4, Oid.FLOAT8, Oid.POINT);

    /** Types of extensions that Debezium knows and that are not text to it; their OIDs differ by database. */
    private static final Set<String> EXTENSIONS =
            Set.of("hstore", "_hstore", "geometry", "_geometry", "geography", "_geography", "vector", "halfvec", "sparsevec");

    @Override
    public void configure(Properties properties) {
        // nothing can be chosen
    }

    @Override
    public void converterFor(RelationalColumn column, ConverterRegistration<SchemaBuilder> registration) {
        if (isWell(column)) {
            return;
        }
        if (column.jdbcType() == Types.ARRAY) {
            PostgresArray array = ARRAYS.getOrDefault(column.nativeType(), PostgresArray.OF_TEXT);
            registration.register(array.schema(), value -> value == null ? null : elements(array, value));
        } else {
            Function<Object, String> form = FORMS.getOrDefault(column.nativeType(), PostgresText::plain);
            registration.register(SchemaBuilder.string(), value -> value == null ? null : text(form, value));
        }
    }

    private static List<?> elements(PostgresArray array, Object value) {
        return isUnavailable(value) ? array.unavailable() : array.elements(value.toString());
    }

    private static String text(Function<Object, String> form, Object value) {
        return isUnavailable(value) ? PostgresText.UNAVAILABLE : form.apply(value);
    }

    private static boolean isWell(RelationalColumn column) {
        boolean flag = column.nativeType() == Oid.BIT && column.length().orElse(0) == 1;
        return flag || WELL.contains(column.nativeType()) || EXTENSIONS.contains(simpleName(column.typeName()));
    }

    private static String simpleName(String typeName) {
        return typeName.substring(typeName.lastIndexOf('.') + 1).replace("\"", "");
    }

    private static boolean isUnavailable(Object value) {
        return UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value);
    }
}
