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

    /** Another command came under a command id that was used before. */
    static final class Reused extends RuntimeException {}

    private record Remembered(String fingerprint, Answer answer) {}

    private record Standing(String state, String commandId) {}

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
        Remembered known = recall(command.id());
        if (known != null) {
            if (!known.fingerprint().equals(command.fingerprint())) throw new Reused();
            return known.answer();
        }
        boolean isDo = command.direction().equals("do");
        Standing standing = standing(command);
        if (isDo && standing.state().equals("undone")) { // a late do: its undo came first
            return kept(command, Answer.no("already-undone", "the undo of this step came first"), "undone");
        }
        if (isDo && standing.state().equals("done")) { // a later round of what is done already
            return kept(command, recall(standing.commandId()).answer(), "done");
        }
        if (!isDo && !standing.state().equals("done")) { // nothing to undo; remembered, so that a late do is refused
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

    private Remembered recall(String id) throws SQLException {
        String query = "SELECT fingerprint, succeeded, body FROM amends_command WHERE command_id = ?";
        try (PreparedStatement statement = prepared(connection, query, id); ResultSet row = statement.executeQuery()) {
            if (!row.next()) return null;
            return new Remembered(row.getString(1), new Answer(row.getBoolean(2), row.getString(3)));
        }
    }

    private Standing standing(Command command) throws SQLException {
        String query = "SELECT state, command_id FROM amends_pair WHERE namespace = ? AND saga_id = ? AND step = ?";
        Object[] key = {command.namespace(), command.sagaId(), command.step()};
        try (PreparedStatement statement = prepared(connection, query, key); ResultSet row = statement.executeQuery()) {
            return row.next() ? new Standing(row.getString(1), row.getString(2)) : new Standing("unseen", null);
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
