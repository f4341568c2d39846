package dev.headrace.connect.debezium;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The part of a topic's name that an outbox row's route becomes; the operator's {@code debezium.topic} does the same. */
final class Route {

    /** The route of rows that have none. */
    static final String NONE = "unrouted";
    private static final int LONGEST_TOPIC = 249;
    private static final int HASH = 8;

    private final int longest;

    /** A route in topics whose other parts have so many characters. */
    Route(int others) {
        this.longest = Math.max(LONGEST_TOPIC - others, HASH + 2);
    }

    String safe(Object written) {
        String text = written == null ? "" : PostgresText.plain(written);
        if (text.isEmpty()) {
            return NONE;
        }
        String safe = replaced(text);
        return safe.length() <= longest ? safe : safe.substring(0, longest - HASH - 1) + "-" + hash(text);
    }

    private static String replaced(String text) {
        StringBuilder safe = new StringBuilder(text);
        for (int at = 0; at < text.length(); at++) {
            if (!isAllowed(text.charAt(at))) {
                safe.setCharAt(at, '_');
            }
        }
        return safe.toString();
    }

    private static boolean isAllowed(char c) {
        return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-';
    }

    private static String hash(String text) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest).substring(0, HASH);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // each Java has it
        }
    }
}
