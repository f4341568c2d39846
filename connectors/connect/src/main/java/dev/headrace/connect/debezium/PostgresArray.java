package dev.headrace.connect.debezium;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;

/**
 * A type of arrays: what its elements become, read from the text of the whole: {@code {a,NULL,"b, c"}}.
 *
 * <p>A schema says how deep an array is, PostgreSQL does not: one of several dimensions becomes one flat list.
 */
final class PostgresArray {

    static final PostgresArray OF_TEXT = new PostgresArray(',');

    private final Schema element;
    private final Function<String, Object> form;
    private final char delimiter;

    private PostgresArray(Schema element, Function<String, Object> form, char delimiter) {
        this.element = element;
        this.form = form;
        this.delimiter = delimiter;
    }

    PostgresArray(Schema element, Function<String, Object> form) {
        this(element, form, ',');
    }

    PostgresArray(Function<Object, String> form) {
        this(Schema.OPTIONAL_STRING_SCHEMA, text -> PostgresText.formed(form, text));
    }

    PostgresArray(char delimiter) {
        this(Schema.OPTIONAL_STRING_SCHEMA, text -> text, delimiter);
    }

    SchemaBuilder schema() {
        return SchemaBuilder.array(element);
    }

    /** What stands for an array that is not in the log, as it is large and was not changed. */
    List<?> unavailable() {
        return switch (element.type()) {
            case STRING -> List.of(PostgresText.UNAVAILABLE);
            case BYTES -> List.of(PostgresText.UNAVAILABLE.getBytes(StandardCharsets.US_ASCII));
            default -> PostgresText.UNAVAILABLE.chars().mapToObj(code -> form.apply(String.valueOf(code))).toList();
        };
    }

    List<Object> elements(String text) {
        List<Object> found = new ArrayList<>();
        int at = text.indexOf('{'); // before it may be bounds: [0:1]={a,b}
        while (at < text.length()) {
            char here = text.charAt(at);
            if (here == '{' || here == '}' || here == delimiter) {
                at++;
            } else if (here == '"') {
                int end = endOfQuoted(text, at);
                found.add(form.apply(text.substring(at + 1, end).replaceAll("\\\\(.)", "$1")));
                at = end + 1;
            } else {
                int end = endOfBare(text, at);
                found.add(text.startsWith("NULL", at) && end == at + 4 ? null : form.apply(text.substring(at, end)));
                at = end;
            }
        }
        return found;
    }

    private static int endOfQuoted(String text, int begin) {
        int at = begin + 1;
        while (text.charAt(at) != '"') {
            at += text.charAt(at) == '\\' ? 2 : 1;
        }
        return at;
    }

    private int endOfBare(String text, int begin) {
        int at = begin;
        while (text.charAt(at) != '}' && text.charAt(at) != delimiter) {
            at++;
        }
        return at;
    }
}
