// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import javax.net.ssl.SSLContext;

/**
 * Asks the enclave for a watermark, with the identity that mtls-agent installed: once, or again and again
 * (Watermark SECONDS, the pause in between).
 */
public final class Watermark {
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static String environment(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.isEmpty() ? otherwise : value;
    }

    private static HttpClient client(SSLContext context) {
        return HttpClient.newBuilder().sslContext(context).connectTimeout(PATIENCE).build();
    }

    /**
     * After a rotation, the next request goes out with the new identity. The connections of the client before end
     * when they were idle for the time that main() says.
     */
    private static String get(InstalledSet<HttpClient> clients, URI url)
            throws IOException, InterruptedException, GeneralSecurityException {
        HttpRequest request = HttpRequest.newBuilder(url).timeout(PATIENCE).build();
        HttpResponse<String> response = clients.current().send(request, HttpResponse.BodyHandlers.ofString());
        if (response.statusCode() != 200) {
            throw new IOException("the enclave answered " + response.statusCode());
        }
        return response.body().strip();
    }

    public static void main(String[] arguments) throws InterruptedException {
        System.setProperty("jdk.httpclient.keepalive.timeout", "30"); // seconds; before the first client is made
        String endpoint = environment("ENCLAVE_ENDPOINT", "https://enclave.example.com:3000");
        Path directory = Path.of(environment("CERT_DIR", "/etc/ecs/mtls"));
        InstalledSet<HttpClient> clients = new InstalledSet<>(directory, Watermark::client);
        try {
            while (true) {
                System.out.println(get(clients, URI.create(endpoint + "/api/watermark")));
                if (arguments.length == 0) {
                    return;
                }
                Thread.sleep((long) (1000 * Double.parseDouble(arguments[0])));
            }
        } catch (IOException | GeneralSecurityException error) {
            System.err.println("watermark: " + error);
            System.exit(1);
        }
    }
}
