import com.google.gson.Gson;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Map;

/**
 * The barrier: a command acts once, and a do never acts after its undo, in whatever order and number they arrive.
 *
 * <p>Its two tables lie in the service's own database, and its rows commit together with the service's own change.
 */
final class Barrier {
    static final String[] TABLES = {
        """
        CREATE TABLE IF NOT EXISTS amends_command (command_id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL,
            succeeded INTEGER NOT NULL, body TEXT NOT NULL) STRICT""",
        """
        CREATE TABLE IF NOT EXISTS amends_pair (namespace TEXT NOT NULL, saga_id TEXT NOT NULL, step TEXT NOT NULL,
            state TEXT NOT NULL, command_id TEXT NOT NULL, PRIMARY KEY (namespace, saga_id, step)) STRICT"""
    };

    /** One command as it arrived; everything in it is the same for each delivery. */
    record Command(String id, String namespace, String sagaId, String step, String direction, String fingerprint) {}

    /** What went out for a command, and goes out again for every duplicate. */
    record Answer(boolean succeeded, String body) {
        static Answer yes(Object reply) {
            return new Answer(true, new Gson().toJson(reply));
        }

        static Answer no(String code, String reason) {
            return new Answer(false, new Gson().toJson(Map.of("code", code, "reason", reason)));
        }
    }

    interface Act {
        Answer on(Connection connection) throws SQLException;
    }

    private final Connection connection;

    Barrier(Connection connection) {
        this.connection = connection;
    }

    /** Answers the command from memory, by the rule, or by acting. When it throws, nothing was done. */
    synchronized Answer admit(Command command, Act act) throws SQLException {
        run("BEGIN IMMEDIATE");
        try {
            Answer answer = judged(command, act);
            run("COMMIT");
            return answer;
        } catch (SQLException | RuntimeException fault) {
            run("ROLLBACK");
            throw fault;
        }
    }

    private Answer judged(Command command, Act act) throws SQLException {
        String[] known = recall(command.id());
        if (known != null && known[0].equals(command.fingerprint())) return answer(known);
        if (known != null) throw new IllegalArgumentException("this command id was used before with other content");
        String query = "SELECT state, command_id FROM amends_pair WHERE namespace = ? AND saga_id = ? AND step = ?";
        String[] pair = row(connection, query, command.namespace(), command.sagaId(), command.step());
        String state = pair == null ? "unseen" : pair[0];
        boolean isDo = command.direction().equals("do");
        if (isDo && state.equals("undone")) { // a late do: its undo came first
            return kept(command, Answer.no("already-undone", "the undo of this step came first"), "undone");
        }
        if (isDo && state.equals("done")) { // a later round of what is done already
            return kept(command, answer(recall(pair[1])), "done");
        }
        if (!isDo && !state.equals("done")) { // nothing to undo; remembered, so that a late do is refused
            return kept(command, Answer.yes(Map.of()), "undone");
        }
        run("SAVEPOINT act");
        Answer answer = act.on(connection);
        if (!answer.succeeded()) run("ROLLBACK TO act"); // what it changed before it refused is taken back
        return kept(command, answer, answer.succeeded() ? command.direction() + "ne" : "refused"); // done, undone
    }

    private Answer kept(Command command, Answer answer, String state) throws SQLException {
        run("INSERT INTO amends_command VALUES (?, ?, ?, ?)",
            command.id(), command.fingerprint(), answer.succeeded() ? 1 : 0, answer.body());
        run("""
            INSERT INTO amends_pair VALUES (?, ?, ?, ?, ?) ON CONFLICT (namespace, saga_id, step)
            DO UPDATE SET state = excluded.state, command_id = excluded.command_id""",
            command.namespace(), command.sagaId(), command.step(), state, command.id());
        return answer;
    }

    private String[] recall(String id) throws SQLException {
        return row(connection, "SELECT fingerprint, succeeded, body FROM amends_command WHERE command_id = ?", id);
    }

    private static Answer answer(String[] known) {
        return new Answer(known[1].equals("1"), known[2]);
    }

    /** The first row that a query finds, as text; null when it finds none. */
    static String[] row(Connection connection, String query, Object... values) throws SQLException {
        try (PreparedStatement statement = prepared(connection, query, values); ResultSet found = statement.executeQuery()) {
            if (!found.next()) return null;
            String[] row = new String[found.getMetaData().getColumnCount()];
            for (int place = 0; place < row.length; place++) row[place] = found.getString(place + 1);
            return row;
        }
    }

    private void run(String statement, Object... values) throws SQLException {
        run(connection, statement, values);
    }

    /** Executes a statement and returns how many rows it changed. */
    static int run(Connection connection, String statement, Object... values) throws SQLException {
        try (PreparedStatement prepared = prepared(connection, statement, values)) {
            return prepared.execute() ? 0 : prepared.getUpdateCount();
        }
    }

    private static PreparedStatement prepared(Connection connection, String statement, Object... values)
            throws SQLException {
        PreparedStatement prepared = connection.prepareStatement(statement);
        for (int place = 0; place < values.length; place++) prepared.setObject(place + 1, values[place]);
        return prepared;
    }
}
