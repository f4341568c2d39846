import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.annotation.EnableKafka;
import org.springframework.kafka.annotation.KafkaListener;
import org.springframework.kafka.config.ConcurrentKafkaListenerContainerFactory;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.listener.DeadLetterPublishingRecoverer;
import org.springframework.kafka.listener.ListenerExecutionFailedException;
import org.springframework.kafka.support.KafkaHeaders;
import org.springframework.messaging.handler.annotation.Header;

/**
 * Reads a dead letter as an application with Spring for Apache Kafka does, by a listener whose arguments name its
 * headers, and lets Spring write its own dead letter of the same record. Prints, as NAME=VALUE, what the listener was
 * given, and for each of Spring's headers whether both letters have the same bytes.
 *
 * <p>Arguments: addresses of Kafka, the source's topic, that of our letters, and a topic for Spring's.
 */
public class ReadLetters {

    static final CountDownLatch READ = new CountDownLatch(1);
    static final List<String> ORIGINS = List.of(KafkaHeaders.DLT_ORIGINAL_TOPIC, KafkaHeaders.DLT_ORIGINAL_PARTITION,
            KafkaHeaders.DLT_ORIGINAL_OFFSET, KafkaHeaders.DLT_ORIGINAL_TIMESTAMP,
            KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE, KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP);

    @Configuration(proxyBeanMethods = false)
    @EnableKafka
    public static class Application {

        @Bean
        ConcurrentKafkaListenerContainerFactory<byte[], byte[]> kafkaListenerContainerFactory() {
            var factory = new ConcurrentKafkaListenerContainerFactory<byte[], byte[]>();
            factory.setConsumerFactory(consumers("spring-listener"));
            return factory;
        }

        @Bean
        Listener listener() {
            return new Listener();
        }
    }

    public static class Listener {

        @KafkaListener(topics = "#{systemProperties['letters']}")
        void read(
                byte[] value,
                @Header(KafkaHeaders.RECEIVED_KEY) byte[] key,
                @Header(KafkaHeaders.DLT_ORIGINAL_TOPIC) String topic,
                @Header(KafkaHeaders.DLT_ORIGINAL_PARTITION) int partition,
                @Header(KafkaHeaders.DLT_ORIGINAL_OFFSET) long offset,
                @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP) long timestamp,
                @Header(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE) String type,
                @Header(KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP) String group,
                @Header(KafkaHeaders.DLT_EXCEPTION_FQCN) String exception,
                @Header(KafkaHeaders.DLT_EXCEPTION_CAUSE_FQCN) String cause,
                @Header(KafkaHeaders.DLT_EXCEPTION_MESSAGE) String message,
                @Header(KafkaHeaders.DLT_EXCEPTION_STACKTRACE) String stack) {
            say("value", text(value));
            say("key", text(key));
            say("topic", topic);
            say("partition", partition);
            say("offset", offset);
            say("timestamp", timestamp);
            say("type", type);
            say("group", group);
            say("exception", exception);
            say("cause", cause);
            say("message", message);
            say("stack", stack.replace("\n", "|"));
            READ.countDown();
        }
    }

    public static void main(String[] words) throws Exception {
        System.setOut(new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8));
        System.setProperty("kafka", words[0]);
        System.setProperty("letters", words[2]);
        try (var context = new AnnotationConfigApplicationContext(Application.class)) {
            if (!READ.await(120, TimeUnit.SECONDS)) {
                throw new IllegalStateException("the listener was given no letter");
            }
        }
        compare(first(words[2]), written(first(words[1]), words[3]));
        System.exit(0);
    }

    /** Let Spring write its dead letter of a record, and return that. */
    static ConsumerRecord<byte[], byte[]> written(ConsumerRecord<byte[], byte[]> source, String topic) {
        var group = new String(first(System.getProperty("letters")).headers()
                .lastHeader(KafkaHeaders.DLT_ORIGINAL_CONSUMER_GROUP).value(), StandardCharsets.UTF_8);
        var template = new KafkaTemplate<>(new DefaultKafkaProducerFactory<byte[], byte[]>(Map.of(
                "bootstrap.servers", System.getProperty("kafka"),
                "key.serializer", ByteArraySerializer.class,
                "value.serializer", ByteArraySerializer.class)));
        var recoverer = new DeadLetterPublishingRecoverer(template, (record, why) -> new TopicPartition(topic, 0));
        var cause = new IllegalStateException("closed");
        recoverer.accept(source, new ListenerExecutionFailedException("failed", group, cause));
        template.destroy();
        return first(topic);
    }

    static void compare(ConsumerRecord<byte[], byte[]> ours, ConsumerRecord<byte[], byte[]> springs) {
        for (String name : ORIGINS) {
            byte[] mine = ours.headers().lastHeader(name).value();
            byte[] other = springs.headers().lastHeader(name).value();
            say(name, Arrays.equals(mine, other) ? "same" : hex(mine) + " and " + hex(other));
        }
        for (var header : springs.headers()) {
            if (header.key().startsWith("kafka_dlt-exception") && ours.headers().lastHeader(header.key()) == null) {
                say(header.key(), "Spring's alone");
            }
        }
    }

    static ConsumerRecord<byte[], byte[]> first(String topic) {
        try (Consumer<byte[], byte[]> consumer = consumers("spring-reader").createConsumer()) {
            var partitions = consumer.partitionsFor(topic).stream()
                    .map(one -> new TopicPartition(topic, one.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            for (int turn = 0; turn < 120; turn++) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    return record;
                }
            }
        }
        throw new IllegalStateException("nothing in " + topic);
    }

    static DefaultKafkaConsumerFactory<byte[], byte[]> consumers(String group) {
        return new DefaultKafkaConsumerFactory<>(Map.of(
                "bootstrap.servers", System.getProperty("kafka"),
                "group.id", group + "-" + System.getProperty("letters"),
                "auto.offset.reset", "earliest",
                "key.deserializer", ByteArrayDeserializer.class,
                "value.deserializer", ByteArrayDeserializer.class));
    }

    static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static void say(String name, Object value) {
        System.out.println(name + "=" + value);
    }
}
