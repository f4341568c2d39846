package dev.headrace.connect.worker;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Map;
import javax.security.auth.Subject;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;
import javax.security.auth.callback.NameCallback;
import javax.security.auth.callback.PasswordCallback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.FailedLoginException;
import javax.security.auth.login.LoginException;
import javax.security.auth.spi.LoginModule;

/**
 * Lets in who gives the user name and the password of a mounted Secret, the files {@code username} and {@code password}
 * of the option {@code folder}. They are read each time, so that a changed Secret counts as soon as it is mounted.
 */
public final class MountedLogin implements LoginModule {

    private CallbackHandler asked;
    private Path folder;

    @Override
    public void initialize(Subject subject, CallbackHandler handler, Map<String, ?> shared, Map<String, ?> options) {
        asked = handler;
        folder = Path.of(String.valueOf(options.get("folder")));
    }

    @Override
    public boolean login() throws LoginException {
        NameCallback name = new NameCallback("user name");
        PasswordCallback password = new PasswordCallback("password", false);
        try {
            asked.handle(new Callback[] {name, password});
            boolean known = isHeld("username", name.getName());
            if (!isHeld("password", text(password.getPassword())) || !known) {
                throw new FailedLoginException("user name or password is another one");
            }
        } catch (IOException | UnsupportedCallbackException error) {
            throw (LoginException) new LoginException("cannot read the login in " + folder).initCause(error);
        }
        return true;
    }

    @Override
    public boolean commit() {
        return true;
    }

    @Override
    public boolean abort() {
        return true;
    }

    @Override
    public boolean logout() {
        return true;
    }

    private static String text(char[] given) {
        return given == null ? null : new String(given);
    }

    private boolean isHeld(String key, String given) throws IOException {
        String held = Files.readString(folder.resolve(key)).replaceFirst("[\\r\\n]+\\z", "");
        return given != null && !held.isEmpty() && MessageDigest.isEqual(bytes(held), bytes(given));
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
