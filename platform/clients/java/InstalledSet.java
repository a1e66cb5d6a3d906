// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.function.Function;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The identity that mtls-agent has installed: read as one set, and read again after a rotation. Keeps what was made from
 * a set for as long as that set is the installed one. Needs no keystore file.
 */
public final class InstalledSet<T> {
    private static final char[] NO_PASSWORD = {}; // these keystores never leave memory

    private final Path directory;
    private final Function<SSLContext, T> make;
    private Path set;
    private T kept;

    public InstalledSet(Path directory, Function<SSLContext, T> make) {
        this.directory = directory;
        this.make = make;
    }

    /** What belongs to the set that is installed now. Costs one readlink(2) where that has not changed. */
    public synchronized T current() throws IOException, GeneralSecurityException {
        while (true) {
            Path installed = installed();
            if (installed.equals(set)) {
                return kept;
            }
            try {
                kept = make.apply(context(installed));
                set = installed;
            } catch (NoSuchFileException gone) {
                // A set that was replaced may be gone before all of it was read: again, with the new one.
                if (installed().equals(installed)) {
                    throw gone;
                }
            }
        }
    }

    /** The directory behind ..data. Where files were put by other means there is no such link, and nothing to follow. */
    private Path installed() throws IOException {
        try {
            return directory.resolve(Files.readSymbolicLink(directory.resolve("..data")));
        } catch (NoSuchFileException plain) {
            return directory;
        }
    }

    /** Shows the leaf of this set, and trusts its CA alone. */
    private static SSLContext context(Path set) throws IOException, GeneralSecurityException {
        Certificate[] chain = certificates(set.resolve("client.crt"));
        PrivateKey key = key(set.resolve("client.key"), chain[0].getPublicKey().getAlgorithm());
        KeyStore own = empty();
        own.setKeyEntry("client", key, NO_PASSWORD, chain);
        KeyManagerFactory shown = KeyManagerFactory.getInstance("PKIX");
        shown.init(own, NO_PASSWORD);

        KeyStore anchors = empty();
        for (Certificate each : certificates(set.resolve("ca.crt"))) {
            anchors.setCertificateEntry("anchor" + anchors.size(), each);
        }
        TrustManagerFactory trusted = TrustManagerFactory.getInstance("PKIX");
        trusted.init(anchors);

        SSLContext context = SSLContext.getInstance("TLS");
        context.init(shown.getKeyManagers(), trusted.getTrustManagers(), null);
        return context;
    }

    private static KeyStore empty() throws IOException, GeneralSecurityException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        return store;
    }

    private static Certificate[] certificates(Path file) throws IOException, GeneralSecurityException {
        try (InputStream in = Files.newInputStream(file)) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in).toArray(new Certificate[0]);
        }
    }

    /** The agent writes keys as PKCS#8, whatever form the secret has them in. */
    private static PrivateKey key(Path file, String algorithm) throws IOException, GeneralSecurityException {
        String base64 = Files.readString(file).replaceAll("-----[A-Z ]+-----|\\s", "");
        PKCS8EncodedKeySpec form = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64));
        return KeyFactory.getInstance(algorithm).generatePrivate(form);
    }
}
