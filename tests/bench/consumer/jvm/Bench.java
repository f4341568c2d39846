import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.ParallelStreamProcessor;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** The Parallel Consumer by order of key: handles the topic twice, and measures the second time, when the JVM is warm. */
public class Bench {
    static final int INDEX = 8;
    static final int RECORDS = Integer.parseInt(System.getenv("BENCH_RECORDS"));
    static final int EVENTS = Integer.parseInt(System.getenv("BENCH_EVENTS"));
    static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    final String work;
    final byte[][] log = new byte[Math.max(1, RECORDS * EVENTS)][];
    final AtomicInteger noted = new AtomicInteger();
    final CountDownLatch done = new CountDownLatch(1);
    volatile long begun, ended;
    volatile double cpuBegun, cpuEnded;

    Bench(String work) {
        this.work = work;
    }

    public static void main(String[] words) throws Exception {
        new Bench(words[0]).run("first");
        var bench = new Bench(words[0]);
        bench.run("second");
        bench.tell();
        System.exit(0);
    }

    void run(String pass) throws Exception {
        var settings = new Properties();
        settings.put("bootstrap.servers", System.getenv("BENCH_BOOTSTRAP"));
        settings.put("group.id", System.getenv("BENCH_GROUP") + "-" + pass);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        var client = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        var options = ParallelConsumerOptions.<byte[], byte[]>builder()
                .consumer(client)
                .ordering(ProcessingOrder.KEY)
                .maxConcurrency(Integer.parseInt(System.getenv("BENCH_CONCURRENCY")))
                .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
                .build();
        var consumer = ParallelStreamProcessor.createEosStreamProcessor(options);
        consumer.subscribe(List.of(System.getenv("BENCH_TOPIC")));
        consumer.poll(context -> handle(context.getSingleConsumerRecord()));
        if (!done.await(10, TimeUnit.MINUTES)) {
            throw new IllegalStateException("only " + noted.get() + " events of " + log.length);
        }
        consumer.closeDontDrainFirst();
    }

    void handle(ConsumerRecord<byte[], byte[]> record) {
        try {
            note(record.value());
            switch (work) {
                case "waits" -> Thread.sleep(10);
                case "posts" -> post(record.value());
                default -> { }
            }
            if (EVENTS == 2) {
                note(record.value());
            }
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    void post(byte[] value) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(System.getenv("BENCH_URL")))
                .POST(HttpRequest.BodyPublishers.ofByteArray(value))
                .build();
        if (HTTP.send(request, HttpResponse.BodyHandlers.discarding()).statusCode() != 200) {
            throw new IllegalStateException("not 200");
        }
    }

    void note(byte[] value) {
        int at = noted.getAndIncrement();
        if (at == 0) {
            begun = System.nanoTime();
            cpuBegun = cpu();
        }
        if (at < log.length) {
            log[at] = value;
        }
        if (at == log.length - 1) {
            ended = System.nanoTime();
            cpuEnded = cpu();
            done.countDown();
        }
    }

    void tell() throws Exception {
        var result = Path.of(System.getenv("BENCH_RESULT"));
        var lines = new byte[log.length * INDEX];
        for (int at = 0; at < log.length; at++) {
            System.arraycopy(log[at], 0, lines, at * INDEX, INDEX);
        }
        var half = Path.of(result + ".half");
        Files.write(Path.of(result.toString().replaceFirst("[.]json$", ".log")), lines);
        Files.writeString(half, String.format(Locale.ROOT, "{\"seconds\": %f, \"cpu\": %f, \"delays\": []}",
                (ended - begun) / 1e9, cpuEnded - cpuBegun), StandardCharsets.UTF_8);
        Files.move(half, result, StandardCopyOption.ATOMIC_MOVE);
        Thread.sleep(60_000);
    }

    static double cpu() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1e9;
    }
}
