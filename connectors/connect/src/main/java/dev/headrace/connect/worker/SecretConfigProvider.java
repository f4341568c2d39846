package dev.headrace.connect.worker;

import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.common.config.ConfigData;
import org.apache.kafka.common.config.provider.ConfigProvider;
import org.apache.kafka.common.utils.Utils;

/**
 * Hands on the values of another provider as all parts of Headrace take them: without the line ends that editors leave
 * behind; and, where {@code quoted} is true, as they stand between the quotes of {@code sasl.jaas.config}.
 */
public final class SecretConfigProvider implements ConfigProvider {

    /** The class that reads the Secrets. */
    static final String SOURCE = "source";

    /** Whether values are to stand between double quotes, as {@link java.io.StreamTokenizer} reads them. */
    static final String QUOTED = "quoted";

    private ConfigProvider source;
    private boolean quoted;

    @Override
    public void configure(Map<String, ?> configs) {
        Object name = configs.get(SOURCE);
        quoted = Boolean.parseBoolean(String.valueOf(configs.get(QUOTED)));
        try {
            source = Utils.newInstance(String.valueOf(name), ConfigProvider.class);
        } catch (ClassNotFoundException error) {
            throw new IllegalArgumentException("no class " + name + " to read Secrets with", error);
        }
        source.configure(configs);
    }

    @Override
    public ConfigData get(String path) {
        return read(source.get(path));
    }

    @Override
    public ConfigData get(String path, Set<String> keys) {
        return read(source.get(path, keys));
    }

    @Override
    public void close() throws IOException {
        if (source != null) {
            source.close();
        }
    }

    private ConfigData read(ConfigData found) {
        return new ConfigData(found.data().entrySet().stream()
            .collect(Collectors.toMap(Map.Entry::getKey, entry -> read(entry.getValue()))), found.ttl());
    }

    private String read(String value) {
        String text = value.replaceFirst("[\\r\\n]+\\z", "");
        return quoted ? quoted(text) : text;
    }

    private static String quoted(String text) {
        return text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\r", "\\r");
    }
}
