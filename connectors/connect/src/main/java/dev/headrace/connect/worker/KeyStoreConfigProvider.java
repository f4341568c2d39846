package dev.headrace.connect.worker;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigData;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.config.SslConfigs;
import org.apache.kafka.common.config.provider.ConfigProvider;
import org.apache.kafka.common.security.ssl.DefaultSslEngineFactory;

/**
 * Makes key stores of a mounted Secret with {@code tls.crt}, {@code tls.key} and {@code ca.crt}, as Kafka Connect's REST
 * interface reads no PEM: the path is the Secret's folder, and the keys are {@code keystore}, {@code truststore} (a file
 * each) and {@code password} (of both). The files are for this process alone.
 */
public final class KeyStoreConfigProvider implements ConfigProvider {

    private final String password = UUID.randomUUID().toString();

    @Override
    public void configure(Map<String, ?> configs) {
        // There is nothing to set.
    }

    @Override
    public ConfigData get(String path) {
        return get(path, Set.of("keystore", "truststore", "password"));
    }

    @Override
    public ConfigData get(String path, Set<String> keys) {
        try (DefaultSslEngineFactory pem = read(Path.of(path))) {
            Map<String, String> made = Map.of("keystore", write(pem.keystore()), "truststore", write(pem.truststore()),
                "password", password);
            return new ConfigData(made);
        } catch (IOException error) {
            throw new UncheckedIOException("cannot make key stores of " + path, error);
        } catch (GeneralSecurityException | KafkaException error) {
            throw new ConfigException("tls.crt, tls.key and ca.crt in " + path + " are no certificates and PKCS #8 key in"
                + " PEM: put those into the Secret of rest.tls (" + error.getMessage() + ")");
        }
    }

    @Override
    public void close() {
        // The files are read for as long as the worker runs.
    }

    private static DefaultSslEngineFactory read(Path folder) throws IOException {
        ConfigDef known = new ConfigDef();
        SslConfigs.addClientSslSupport(known);
        DefaultSslEngineFactory pem = new DefaultSslEngineFactory();
        pem.configure(known.parse(Map.of(
            SslConfigs.SSL_KEYSTORE_TYPE_CONFIG, DefaultSslEngineFactory.PEM_TYPE,
            SslConfigs.SSL_KEYSTORE_CERTIFICATE_CHAIN_CONFIG, text(folder, "tls.crt"),
            SslConfigs.SSL_KEYSTORE_KEY_CONFIG, text(folder, "tls.key"),
            SslConfigs.SSL_TRUSTSTORE_TYPE_CONFIG, DefaultSslEngineFactory.PEM_TYPE,
            SslConfigs.SSL_TRUSTSTORE_CERTIFICATES_CONFIG, text(folder, "ca.crt"))));
        return pem;
    }

    private static String text(Path folder, String name) throws IOException {
        return Files.readString(folder.resolve(name));
    }

    /** PemStore keeps its key without a password: it is written anew under ours. */
    private String write(KeyStore pem) throws IOException, GeneralSecurityException {
        Path file = Files.createTempFile("rest-", ".p12");
        KeyStore made = KeyStore.getInstance("PKCS12");
        made.load(null, null);
        for (String alias : Collections.list(pem.aliases())) {
            if (pem.isKeyEntry(alias)) {
                made.setKeyEntry(alias, pem.getKey(alias, null), password.toCharArray(), pem.getCertificateChain(alias));
            } else {
                made.setCertificateEntry(alias, pem.getCertificate(alias));
            }
        }
        try (OutputStream out = Files.newOutputStream(file)) {
            made.store(out, password.toCharArray());
        }
        return file.toString();
    }
}
