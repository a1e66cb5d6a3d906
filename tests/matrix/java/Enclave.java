// SPDX-License-Identifier: Apache-2.0

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.Executors;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Enclaves on JSSE: Enclave KIND DIRECTORY PORT [WORD...] */
public final class Enclave {
    private static final byte[] BODY = "{\"server\":\"java\"}\n".getBytes(StandardCharsets.UTF_8);
    private static final char[] PASSWORD = "changeit".toCharArray();

    private static Collection<? extends Certificate> certificates(Path path) throws Exception {
        try (InputStream in = new FileInputStream(path.toFile())) {
            return CertificateFactory.getInstance("X.509").generateCertificates(in);
        }
    }

    private static PrivateKey key(Path path, String algorithm) throws Exception {
        String text = Files.readString(path).replaceAll("-----[A-Z ]+-----|\\s", "");
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(text)));
    }

    private static SSLContext context(Path directory) throws Exception {
        Certificate[] chain = certificates(directory.resolve("server.crt")).toArray(new Certificate[0]);
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(null, null);
        keys.setKeyEntry("server", key(directory.resolve("server.key"), chain[0].getPublicKey().getAlgorithm()), PASSWORD, chain);
        KeyManagerFactory keyManagers = KeyManagerFactory.getInstance("PKIX");
        keyManagers.init(keys, PASSWORD);

        KeyStore anchors = KeyStore.getInstance("PKCS12");
        anchors.load(null, null);
        int number = 0;
        for (Certificate each : certificates(directory.resolve("clients.crt"))) {
            anchors.setCertificateEntry("anchor" + number++, each);
        }
        TrustManagerFactory trustManagers = TrustManagerFactory.getInstance("PKIX");
        trustManagers.init(anchors);

        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keyManagers.getKeyManagers(), trustManagers.getTrustManagers(), null);
        return context;
    }

    /** What the words say; a client certificate is demanded. */
    private static SSLParameters parameters(SSLContext context, List<String> words) {
        SSLParameters parameters = context.getDefaultSSLParameters();
        parameters.setNeedClientAuth(true);
        if (words.contains("tls12")) {
            parameters.setProtocols(new String[] {"TLSv1.2"});
        }
        if (words.contains("tls13")) {
            parameters.setProtocols(new String[] {"TLSv1.3"});
        }
        return parameters;
    }

    private static void serveHttps(SSLContext context, SSLParameters wanted, int port) throws IOException {
        HttpsServer server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override
            public void configure(HttpsParameters parameters) {
                parameters.setSSLParameters(wanted);
            }
        });
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            exchange.sendResponseHeaders(200, BODY.length);
            exchange.getResponseBody().write(BODY);
            exchange.close();
        });
        server.start();
    }

    private static void answer(SSLSocket client) {
        try (client) {
            byte[] request = new byte[4096];
            if (client.getInputStream().read(request) > 0) {
                String head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + BODY.length + "\r\n\r\n";
                client.getOutputStream().write(head.getBytes(StandardCharsets.UTF_8));
                client.getOutputStream().write(BODY);
            }
        } catch (IOException error) {
            System.err.println(error);
        }
    }

    private static void serveSocket(SSLContext context, SSLParameters wanted, int port) throws IOException {
        InetAddress loopback = InetAddress.getLoopbackAddress();
        try (SSLServerSocket listener =
                (SSLServerSocket) context.getServerSocketFactory().createServerSocket(port, 32, loopback)) {
            listener.setSSLParameters(wanted);
            while (true) {
                SSLSocket client = (SSLSocket) listener.accept();
                new Thread(() -> answer(client)).start();
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        List<String> words = Arrays.asList(arguments).subList(3, arguments.length);
        if (words.contains("p384")) {
            System.setProperty("jdk.tls.namedGroups", "secp384r1");
        }
        SSLContext context = context(Path.of(arguments[1]));
        int port = Integer.parseInt(arguments[2]);
        if (arguments[0].equals("https")) {
            serveHttps(context, parameters(context, words), port);
        } else {
            serveSocket(context, parameters(context, words), port);
        }
    }
}
