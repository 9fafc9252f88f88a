package main

// The barrier: a command acts once, and a do never acts after its undo, in whatever order and number they arrive.
// Its two tables lie in the service's own database, and its rows commit together with the service's own change.
// A fault of the database is a panic: it takes the transaction back, the request gets a 500, and comes again.

import (
	"database/sql"
	"encoding/json"
	"errors"
)

const barrierTables = `
CREATE TABLE IF NOT EXISTS amends_command (
    command_id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, succeeded INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS amends_pair (
    namespace TEXT NOT NULL, saga_id TEXT NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL, command_id TEXT NOT NULL,
    PRIMARY KEY (namespace, saga_id, step)) STRICT;`

// command is one command as it arrived; everything in it is the same for each delivery.
type command struct{ id, namespace, sagaID, step, direction, name, fingerprint string }

// answer is what went out for a command, and goes out again for every duplicate.
type answer struct {
	succeeded   bool
	body        []byte
	fingerprint string
}

type refusal struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// admit answers the command from memory, by the rule, or by acting.
func admit(db *sql.DB, c command, act func(*sql.Tx) (any, *refusal)) answer {
	tx, err := db.Begin() // BEGIN IMMEDIATE: two deliveries of one command wait for each other
	check(err)
	defer tx.Rollback() // does nothing after a commit
	if known, found := recall(tx, c.id); found {
		need(known.fingerprint == c.fingerprint, 400, "", "this command id was used before with other content")
		return known
	}
	state, first := standing(tx, c)
	var given answer
	switch {
	case c.direction == "do" && state == "undone": // a late do: its undo came first
		given = answer{body: encoded(refusal{"already-undone", "the undo of this step came first"})}
	case c.direction == "do" && state == "done": // a later round of what is done already
		given, _ = recall(tx, first)
	case c.direction == "undo" && state != "done": // nothing to undo; remembered, so that a late do is refused
		given, state = answer{succeeded: true, body: []byte("{}")}, "undone"
	default:
		given, state = acted(tx, act), c.direction+"ne" // done, undone
		if !given.succeeded {
			state = "refused"
		}
	}
	run(tx, "INSERT INTO amends_command VALUES (?, ?, ?, ?)", c.id, c.fingerprint, given.succeeded, given.body)
	run(tx, `INSERT INTO amends_pair VALUES (?, ?, ?, ?, ?) ON CONFLICT (namespace, saga_id, step)
		DO UPDATE SET state = excluded.state, command_id = excluded.command_id`,
		c.namespace, c.sagaID, c.step, state, c.id)
	check(tx.Commit())
	return given
}

// acted runs the service's own change; what it changed before it refused is taken back.
func acted(tx *sql.Tx, act func(*sql.Tx) (any, *refusal)) answer {
	run(tx, "SAVEPOINT act")
	reply, no := act(tx)
	if no != nil {
		run(tx, "ROLLBACK TO act")
		return answer{body: encoded(no)}
	}
	return answer{succeeded: true, body: encoded(reply)}
}

func recall(tx *sql.Tx, id string) (known answer, found bool) {
	row := tx.QueryRow("SELECT succeeded, body, fingerprint FROM amends_command WHERE command_id = ?", id)
	found = scanned(row, &known.succeeded, &known.body, &known.fingerprint)
	return known, found
}

func standing(tx *sql.Tx, c command) (state, commandID string) {
	row := tx.QueryRow("SELECT state, command_id FROM amends_pair WHERE namespace = ? AND saga_id = ? AND step = ?",
		c.namespace, c.sagaID, c.step)
	scanned(row, &state, &commandID)
	return state, commandID
}

func scanned(row *sql.Row, into ...any) bool {
	err := row.Scan(into...)
	if !errors.Is(err, sql.ErrNoRows) {
		check(err)
	}
	return err == nil
}

// run executes a statement and returns how many rows it changed.
func run(tx *sql.Tx, statement string, values ...any) int64 {
	result, err := tx.Exec(statement, values...)
	check(err)
	rows, err := result.RowsAffected()
	check(err)
	return rows
}

func encoded(value any) []byte {
	body, err := json.Marshal(value)
	check(err)
	return body
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
