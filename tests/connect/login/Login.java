import java.io.FileReader;
import java.util.Properties;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;

/** Logs in to Kafka with each given file of a worker's properties, as a worker does, and says what came of it. */
class Login {
    public static void main(String[] files) throws Exception {
        for (String file : files) {
            System.out.println("login: " + attempt(file));
        }
        System.exit(0);
    }

    private static String attempt(String file) throws Exception {
        Properties properties = new Properties();
        try (FileReader reader = new FileReader(file)) {
            properties.load(reader);
        }
        try (Admin admin = Admin.create(properties)) {
            admin.describeCluster().clusterId().get(60, TimeUnit.SECONDS);
            return "in";
        } catch (Exception error) {
            return String.valueOf(error).replace("\n", " ");
        }
    }
}
