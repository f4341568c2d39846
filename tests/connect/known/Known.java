import io.debezium.config.Field;
import io.debezium.connector.postgresql.PostgresConnectorConfig;
import io.debezium.pipeline.signal.channels.KafkaSignalChannel;
import java.io.FileReader;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.connect.runtime.TopicCreationConfig;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.postgresql.PGProperty;

/** Prints the properties of a file that neither a worker nor what it makes (clients, topics, a driver) knows, one a line. */
class Known {
    public static void main(String[] arguments) throws Exception {
        Properties file = new Properties();
        file.load(new FileReader(arguments[0]));
        Set<String> own = new DistributedConfig(Utils.propsToStringMap(file)).values().keySet();
        Map<String, Set<String>> made = Map.of(
                "producer.", ProducerConfig.configNames(),
                "consumer.", ConsumerConfig.configNames(),
                "admin.", AdminClientConfig.configNames(),
                "signal.consumer.", ConsumerConfig.configNames(),
                "", signals(),
                "topic.creation.default.", TopicCreationConfig.defaultGroupConfigDef().names(),
                "driver.", Arrays.stream(PGProperty.values()).map(PGProperty::getName).collect(Collectors.toSet()));
        for (String name : file.stringPropertyNames()) {
            if (!own.contains(name) && made.keySet().stream().noneMatch(prefix -> isOf(prefix, made.get(prefix), name))) {
                System.out.println(name);
            }
        }
    }

    private static Set<String> signals() {
        return Stream.of(
                        KafkaSignalChannel.SIGNAL_TOPIC, KafkaSignalChannel.BOOTSTRAP_SERVERS,
                        KafkaSignalChannel.SIGNAL_POLL_TIMEOUT_MS, KafkaSignalChannel.GROUP_ID,
                        PostgresConnectorConfig.READ_ONLY_CONNECTION)
                .map(Field::name)
                .collect(Collectors.toSet());
    }

    private static boolean isOf(String prefix, Set<String> names, String name) {
        return name.startsWith(prefix) && names.contains(name.substring(prefix.length()));
    }
}
