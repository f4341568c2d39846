package dev.headrace.connect.debezium;

import io.debezium.connector.postgresql.PostgresValueConverter;
import io.debezium.connector.postgresql.UnchangedToastedReplicationMessageColumn;
import io.debezium.connector.postgresql.connection.DateTimeFormat;
import io.debezium.data.SpecialValueDecimal;
import io.debezium.time.Interval;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.sql.SQLXML;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Calendar;
import java.util.GregorianCalendar;
import java.util.Map;
import java.util.function.Function;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.errors.DataException;
import org.postgresql.PGStatement;
import org.postgresql.util.HStoreConverter;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGbytea;
import org.postgresql.util.PGobject;

/** One value of PostgreSQL as text, from whatever Java type the driver (snapshot) or Debezium (stream) has for it. */
final class PostgresText {

    /** What stands for a value that is not in the log, as it is large and was not changed. */
    static final String UNAVAILABLE = "__debezium_unavailable_value";

    private static final String EVER = "infinity";
    private static final String NEVER = "-infinity";

    private PostgresText() {}

    /** PostgreSQL's own text. */
    static String plain(Object value) {
        if (value instanceof PGobject object) {
            return object.getValue();
        }
        if (value instanceof Map<?, ?> pairs) {
            return HStoreConverter.toString(pairs); // of a domain: a stream has the same text
        }
        if (value instanceof SpecialValueDecimal number) {
            return number.getDecimalValue().map(BigDecimal::toPlainString).orElseGet(() -> Double.toString(number.toDouble()));
        }
        return value instanceof BigDecimal number ? number.toPlainString() : value.toString();
    }

    /** A value in that form; where it has none there, PostgreSQL's own text. */
    static String formed(Function<Object, String> form, Object value) {
        try {
            return form.apply(value);
        } catch (ConnectException | DateTimeException e) {
            return plain(value);
        }
    }

    /** An ISO 8601 date, in the proleptic calendar, as PostgreSQL has it. */
    static String date(Object value) {
        if (value instanceof java.sql.Date date) {
            return date(date);
        }
        if (value instanceof String text) {
            return date(DateTimeFormat.get().date(text));
        }
        if (PostgresValueConverter.POSITIVE_INFINITY_LOCAL_DATE.equals(value)) {
            return EVER;
        }
        return PostgresValueConverter.NEGATIVE_INFINITY_LOCAL_DATE.equals(value) ? NEVER : value.toString();
    }

    private static String date(java.sql.Date date) {
        if (date.getTime() == PGStatement.DATE_POSITIVE_INFINITY) {
            return EVER;
        }
        if (date.getTime() == PGStatement.DATE_NEGATIVE_INFINITY) {
            return NEVER;
        }
        Calendar calendar = new GregorianCalendar();
        calendar.setTime(date);
        int year = calendar.get(Calendar.YEAR);
        int proleptic = calendar.get(Calendar.ERA) == GregorianCalendar.BC ? 1 - year : year;
        return LocalDate.of(proleptic, calendar.get(Calendar.MONTH) + 1, calendar.get(Calendar.DAY_OF_MONTH)).toString();
    }

    /** An ISO 8601 date and time without a zone. */
    static String timestamp(Object value) {
        if (value instanceof String text) {
            return isInfinite(text) ? text : timestamp(DateTimeFormat.get().timestampToInstant(text));
        }
        if (PostgresValueConverter.POSITIVE_INFINITY_INSTANT.equals(value)) {
            return EVER;
        }
        if (PostgresValueConverter.NEGATIVE_INFINITY_INSTANT.equals(value)) {
            return NEVER;
        }
        return value instanceof Instant instant ? local(instant) : value.toString();
    }

    private static String local(Instant instant) {
        return DateTimeFormatter.ISO_LOCAL_DATE_TIME.format(LocalDateTime.ofInstant(instant, ZoneOffset.UTC));
    }

    /** An ISO 8601 date and time in UTC. */
    static String timestampWithZone(Object value) {
        if (value instanceof String text) {
            return isInfinite(text) ? text : utc(DateTimeFormat.get().timestampWithTimeZoneToOffsetDateTime(text));
        }
        if (PostgresValueConverter.POSITIVE_INFINITY_OFFSET_DATE_TIME.equals(value)) {
            return EVER;
        }
        if (PostgresValueConverter.NEGATIVE_INFINITY_OFFSET_DATE_TIME.equals(value)) {
            return NEVER;
        }
        return value instanceof OffsetDateTime time ? utc(time) : value.toString();
    }

    private static String utc(OffsetDateTime time) {
        return DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(time.withOffsetSameInstant(ZoneOffset.UTC));
    }

    /** An ISO 8601 time in UTC. */
    static String timeWithZone(Object value) {
        OffsetTime time = value instanceof OffsetTime known ? known : DateTimeFormat.get().timeWithTimeZone(value.toString());
        return DateTimeFormatter.ISO_OFFSET_TIME.format(time);
    }

    /** An ISO 8601 duration. */
    static String interval(Object value) {
        if (!(value instanceof PGInterval interval)) {
            return interval(parsed(value.toString()));
        }
        BigDecimal seconds = BigDecimal.valueOf(interval.getWholeSeconds()).add(BigDecimal.valueOf(interval.getMicroSeconds(), 6));
        return Interval.toIsoString(
                interval.getYears(), interval.getMonths(), interval.getDays(), interval.getHours(), interval.getMinutes(), seconds);
    }

    private static PGInterval parsed(String text) {
        try {
            return new PGInterval(text);
        } catch (SQLException e) {
            throw new DataException("no interval: " + text, e);
        }
    }

    /** The digits of an amount, without its currency. */
    static String money(Object value) {
        String digits = plain(value).replaceAll("[^0-9.]", "");
        return isNegative(plain(value)) ? "-" + digits : digits;
    }

    static String xml(Object value) {
        try {
            return value instanceof SQLXML document ? document.getString() : value.toString();
        } catch (SQLException e) {
            throw new DataException("no XML", e);
        }
    }

    /** The bytes of a {@code bytea}; of one that is not in the log those of the words that stand for it. */
    static Object bytes(Object value) {
        if (UnchangedToastedReplicationMessageColumn.isUnchangedToastedValue(value)) {
            return UNAVAILABLE.getBytes(StandardCharsets.US_ASCII);
        }
        try {
            return value instanceof String text ? PGbytea.toBytes(text.getBytes(StandardCharsets.US_ASCII)) : value;
        } catch (SQLException e) {
            throw new DataException("no bytea", e);
        }
    }

    private static boolean isNegative(String amount) {
        return amount.startsWith("-") || amount.startsWith("(");
    }

    private static boolean isInfinite(String text) {
        return EVER.equals(text) || NEVER.equals(text);
    }
}
