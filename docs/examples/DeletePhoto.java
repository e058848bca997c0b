import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Deletes a profile photo through bigin-photo-proxy, and prints what became of it. Java 17 or later.
 *
 * <pre>java DeletePhoto.java http://127.0.0.1:8080 Contacts 2034020000000489033 erasure-4711</pre>
 */
public final class DeletePhoto {
    private static final int TRIES = 4;

    /** Whoever is to wait longer comes again later. */
    private static final long PATIENCE_SECONDS = 60;

    private static final HttpClient CLIENT = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

    /** What became of the photo, and the last answer. */
    record Result(String outcome, String body) {}

    /** One try. */
    private record Answer(int status, String outcome, long retryAfter, String body) {}

    static Result deletePhoto(String base, String module, String recordId, String requestId)
            throws InterruptedException {
        var request = HttpRequest.newBuilder(URI.create(base + "/bigin/v2/" + module + "/" + recordId + "/photo"))
                .DELETE()
                .header("X-Request-Id", requestId)
                .header("Request-Timeout", "15")
                // Longer than the proxy takes, so that its answer is heard.
                .timeout(Duration.ofSeconds(20))
                .build();
        var perhapsDeleted = false;
        for (var attempt = 1; ; attempt++) {
            var answer = ask(request);
            perhapsDeleted |= answer.outcome().equals("unknown");

            if (answer.outcome().equals("deleted")) {
                return new Result("deleted", answer.body());
            }
            var again = answer.outcome().equals("unknown") || answer.status() == 429 || answer.status() >= 500;
            if (!again || answer.retryAfter() > PATIENCE_SECONDS || attempt == TRIES) {
                // What an earlier try may have done, only a success settles.
                return new Result(perhapsDeleted ? "unknown" : answer.outcome(), answer.body());
            }
            var jitter = ThreadLocalRandom.current().nextLong(1000L << (attempt - 1));
            Thread.sleep(1000 * answer.retryAfter() + jitter);
        }
    }

    private static Answer ask(HttpRequest request) throws InterruptedException {
        try {
            var response = CLIENT.send(request, BodyHandlers.ofString());
            var headers = response.headers();
            // One of somebody else's has no outcome: nobody knows.
            var outcome = headers.firstValue("Delete-Outcome").orElse("unknown");
            var retryAfter = headers.firstValue("Retry-After").filter(it -> it.matches("[0-9]{1,9}")).orElse("0");
            return new Answer(response.statusCode(), outcome, Long.parseLong(retryAfter), response.body());
        } catch (IOException error) {
            return new Answer(0, "unknown", 0, error.toString());
        }
    }

    public static void main(String[] args) throws InterruptedException {
        var result = deletePhoto(args[0], args[1], args[2], args[3]);
        System.out.println(result.outcome() + " " + result.body());
        System.exit(result.outcome().equals("deleted") ? 0 : 1);
    }
}
