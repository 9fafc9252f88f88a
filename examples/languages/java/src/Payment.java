import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/**
 * The payment service in Java: accounts, and what was taken from them for which order.
 *
 * <p>{@code java -cp … Payment --port 8102 --database payment.db}
 *
 * <p>It knows no saga: it answers process-payment and its undo, refund-payment, as the contract for HTTP participants
 * says. That a command acts once is the work of Barrier.
 */
public final class Payment {
    private static final String[] TABLES = {
        "CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0)) STRICT",
        "CREATE TABLE IF NOT EXISTS payment (order_id TEXT PRIMARY KEY, account TEXT NOT NULL, cents INTEGER) STRICT",
        "INSERT INTO account VALUES ('ada', 10000000), ('bob', 10) ON CONFLICT DO NOTHING"
    };
    private static final Map<String, String> DIRECTIONS = Map.of("process-payment", "do", "refund-payment", "undo");
    private static final int LARGEST_BODY = 1 << 20;
    private static final Gson JSON = new Gson();

    record Payload(String order_id, String account, int cents) {}

    private final Connection connection;
    private final Barrier barrier;

    private Payment(Connection connection) {
        this.connection = connection;
        this.barrier = new Barrier(connection);
    }

    private static Barrier.Answer charge(Connection connection, Payload wanted) throws SQLException {
        String take = "UPDATE account SET cents = cents - ?1 WHERE name = ?2 AND cents >= ?1";
        if (Barrier.run(connection, take, wanted.cents(), wanted.account()) == 0) {
            return Barrier.Answer.no("insufficient-funds", "not enough on the account of " + wanted.account());
        }
        String note = "INSERT INTO payment VALUES (?, ?, ?)";
        Barrier.run(connection, note, wanted.order_id(), wanted.account(), wanted.cents());
        return Barrier.Answer.yes(Map.of("reference", "P-" + wanted.order_id()));
    }

    private static Barrier.Answer refund(Connection connection, Payload wanted) throws SQLException {
        String giveBack = """
            UPDATE account SET cents = account.cents + payment.cents FROM payment
            WHERE payment.order_id = ? AND payment.account = account.name""";
        Barrier.run(connection, giveBack, wanted.order_id());
        Barrier.run(connection, "DELETE FROM payment WHERE order_id = ?", wanted.order_id());
        return Barrier.Answer.yes(Map.of());
    }

    /** What the sender did wrong; a code makes it a business no. */
    private static final class Fault extends RuntimeException {
        final int status;
        final Object code;

        Fault(int status, Object code, Object detail) {
            super(String.valueOf(detail));
            this.status = status;
            this.code = code;
        }
    }

    private void serve(HttpExchange exchange) throws IOException {
        try {
            send(exchange, 200, "application/json", executed(exchange));
        } catch (Fault fault) {
            problem(exchange, fault.status, fault.code, fault.getMessage());
        } catch (IllegalArgumentException | JsonParseException bad) {
            problem(exchange, 400, null, bad.getMessage());
        } catch (SQLException fault) {
            System.err.println(fault);
            problem(exchange, 500, null, "nothing was done, the log says more");
        }
    }

    private String executed(HttpExchange exchange) throws IOException, SQLException {
        String name = exchange.getRequestURI().getPath().substring("/commands/".length());
        String direction = DIRECTIONS.get(name);
        if (direction == null) throw new Fault(501, null, "no such command"); // not 404: that would confirm an undo
        String body = new String(exchange.getRequestBody().readNBytes(LARGEST_BODY), StandardCharsets.UTF_8);
        Barrier.Command command = read(exchange.getRequestHeaders(), name, body);
        if (!command.direction().equals(direction)) throw new Fault(400, null, "Amends-Direction is not this command's");
        Payload wanted = JSON.fromJson(body, Payload.class);
        if (wanted == null || wanted.order_id() == null || wanted.account() == null || wanted.cents() < 1) {
            throw new Fault(422, "invalid-payload", "order_id, account and positive cents are needed");
        }
        Barrier.Act act = direction.equals("do") ? c -> charge(c, wanted) : c -> refund(c, wanted);
        Barrier.Answer answer = barrier.admit(command, act);
        if (command.id().equals(System.getenv("CRASH_BEFORE_ANSWER"))) kill(); // it has acted and will not say so
        if (answer.succeeded()) return answer.body();
        Map<?, ?> no = JSON.fromJson(answer.body(), Map.class);
        throw new Fault(409, no.get("code"), no.get("reason"));
    }

    /** Takes the command from the contract's headers. */
    private static Barrier.Command read(Headers headers, String name, String body) {
        String namespace = headers.getOrDefault("Amends-Namespace", List.of("default")).get(0);
        String step = URLDecoder.decode(one(headers, "Amends-Step").replace("+", "%2B"), StandardCharsets.UTF_8);
        String direction = one(headers, "Amends-Direction");
        String saga = one(headers, "Amends-Saga-Id");
        String content = String.valueOf(JSON.fromJson(body, Object.class)); // so that spaces make no difference
        String same = JSON.toJson(List.of(name, namespace, saga, step, direction, one(headers, "Amends-Round"), content));
        return new Barrier.Command(one(headers, "Idempotency-Key"), namespace, saga, step, direction, same);
    }

    private static String one(Headers headers, String name) {
        List<String> values = headers.getOrDefault(name, List.of());
        if (values.size() == 1 && !values.get(0).isEmpty()) return values.get(0);
        throw new Fault(400, null, "the header " + name + " must stand once");
    }

    private static void problem(HttpExchange exchange, int status, Object code, String detail) throws IOException {
        JsonObject fields = new JsonObject();
        fields.addProperty("status", status);
        fields.addProperty("detail", detail);
        if (code != null) fields.addProperty("code", code.toString());
        send(exchange, status, "application/problem+json", fields.toString());
    }

    private static void send(HttpExchange exchange, int status, String type, String body) throws IOException {
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type);
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    private void state(HttpExchange exchange) throws IOException {
        String query = "SELECT (SELECT count(*) FROM payment), sum(cents) FROM account";
        synchronized (barrier) {
            try {
                String[] found = Barrier.row(connection, query);
                send(exchange, 200, "application/json", "{\"standing\": %s, \"cents\": %s}".formatted((Object[]) found));
            } catch (SQLException fault) {
                problem(exchange, 500, null, fault.getMessage());
            }
        }
    }

    private static void kill() throws IOException {
        new ProcessBuilder("kill", "-9", String.valueOf(ProcessHandle.current().pid())).start();
        while (true) Thread.onSpinWait();
    }

    public static void main(String[] arguments) throws Exception {
        List<String> given = List.of(arguments);
        int port = given.contains("--port") ? Integer.parseInt(given.get(given.indexOf("--port") + 1)) : 0;
        String file = given.contains("--database") ? given.get(given.indexOf("--database") + 1) : "payment.db";
        Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        for (String statement : List.of("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "PRAGMA busy_timeout = 10000")) {
            Barrier.run(connection, statement);
        }
        for (String table : Barrier.TABLES) Barrier.run(connection, table);
        for (String table : TABLES) Barrier.run(connection, table);
        Payment payment = new Payment(connection);
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/commands/", payment::serve);
        server.createContext("/state", payment::state);
        server.start();
        System.out.println("ready http://127.0.0.1:" + server.getAddress().getPort());
        if (given.contains("--with-parent")) {
            while (System.in.read() >= 0) {} // ends when standard input closes
            Runtime.getRuntime().halt(0);
        }
    }
}
