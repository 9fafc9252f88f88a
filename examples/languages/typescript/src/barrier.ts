/**
 * The barrier: a command acts once, and a do never acts after its undo, in whatever order and number they arrive.
 *
 * Its two tables lie in the service's own database, and its rows commit together with the service's own change.
 */
import type { Database } from "better-sqlite3";

export const BARRIER_TABLES = `
CREATE TABLE IF NOT EXISTS amends_command (
    command_id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, succeeded INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS amends_pair (
    namespace TEXT NOT NULL, saga_id TEXT NOT NULL, step TEXT NOT NULL, state TEXT NOT NULL, command_id TEXT NOT NULL,
    PRIMARY KEY (namespace, saga_id, step)) STRICT;`;

/** One command as it arrived; everything in it is the same for each delivery. */
export interface Command {
  id: string;
  namespace: string;
  sagaId: string;
  step: string;
  direction: "do" | "undo";
  fingerprint: string;
}

/** What went out for a command, and goes out again for every duplicate. */
export interface Answer {
  succeeded: boolean;
  body: string;
}

/** Another command came under a command id that was used before. */
export class Reused extends Error {}

export const yes = (reply: unknown): Answer => ({ succeeded: true, body: JSON.stringify(reply) });
export const no = (code: string, reason: string): Answer => ({ succeeded: false, body: JSON.stringify({ code, reason }) });

/** Answers the command from memory, by the rule, or by acting. When it throws, nothing was done. */
export function admit(database: Database, command: Command, act: () => Answer): Answer {
  // BEGIN IMMEDIATE: two deliveries of one command wait for each other, also in two processes.
  return database.transaction(() => judged(database, command, act)).immediate();
}

function judged(database: Database, command: Command, act: () => Answer): Answer {
  const known = recall(database, command.id);
  if (known) {
    if (known.fingerprint !== command.fingerprint) throw new Reused("this command id was used before with other content");
    return known.answer;
  }
  const { state, commandId } = standing(database, command);
  if (command.direction === "do") {
    // A late do: its undo came first.
    if (state === "undone") return kept(database, command, no("already-undone", "the undo of this step came first"), state);
    // A later round of what is done already.
    if (state === "done") return kept(database, command, recall(database, commandId)!.answer, state);
  } else if (state !== "done") {
    // Nothing to undo; remembered, so that a late do is refused.
    return kept(database, command, yes({}), "undone");
  }
  const answer = acted(database, act);
  return kept(database, command, answer, answer.succeeded ? `${command.direction}ne` : "refused"); // done, undone
}

/** Runs the service's own change; what it changed before it refused is taken back. */
function acted(database: Database, act: () => Answer): Answer {
  database.exec("SAVEPOINT act");
  const answer = act();
  if (!answer.succeeded) database.exec("ROLLBACK TO act");
  return answer;
}

function kept(database: Database, command: Command, answer: Answer, state: string): Answer {
  database
    .prepare("INSERT INTO amends_command VALUES (?, ?, ?, ?)")
    .run(command.id, command.fingerprint, Number(answer.succeeded), answer.body);
  database
    .prepare(
      `INSERT INTO amends_pair VALUES (?, ?, ?, ?, ?) ON CONFLICT (namespace, saga_id, step)
       DO UPDATE SET state = excluded.state, command_id = excluded.command_id`,
    )
    .run(command.namespace, command.sagaId, command.step, state, command.id);
  return answer;
}

function recall(database: Database, id: string): { fingerprint: string; answer: Answer } | undefined {
  const query = "SELECT fingerprint, succeeded, body FROM amends_command WHERE command_id = ?";
  const row = database.prepare<[string], { fingerprint: string; succeeded: number; body: string }>(query).get(id);
  return row && { fingerprint: row.fingerprint, answer: { succeeded: row.succeeded === 1, body: row.body } };
}

function standing(database: Database, command: Command): { state: string; commandId: string } {
  const query = "SELECT state, command_id AS commandId FROM amends_pair WHERE namespace = ? AND saga_id = ? AND step = ?";
  const found = database.prepare<[string, string, string], { state: string; commandId: string }>(query);
  return found.get(command.namespace, command.sagaId, command.step) ?? { state: "unseen", commandId: "" };
}
