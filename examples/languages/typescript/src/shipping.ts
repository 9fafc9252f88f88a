/**
 * The shipping service in TypeScript: parcels, and which carrier's country they go to.
 *
 *     node built/shipping.js --port 8103 --database shipping.db
 *
 * It knows no saga: it answers ship-order and its undo, cancel-shipment, as the contract for HTTP participants says. That a
 * command acts once is the work of barrier.ts.
 */
import DatabaseFile from "better-sqlite3";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { admit, BARRIER_TABLES, no, Reused, yes, type Answer, type Command } from "./barrier.js";

const TABLES = "CREATE TABLE IF NOT EXISTS parcel (order_id TEXT PRIMARY KEY, country TEXT NOT NULL) STRICT;";
const CARRIERS = new Set(["DE", "FR", "NL"]);
const LARGEST_BODY = 1 << 20;

interface Payload {
  order_id: string;
  country: string;
}

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    database: { type: "string", default: "shipping.db" },
    "with-parent": { type: "boolean", default: false },
  },
});
const database = new DatabaseFile(options.database, { timeout: 10_000 });
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(BARRIER_TABLES + TABLES);

/** Each command's direction, and what it does within the barrier's transaction. */
const HANDLERS: Record<string, { direction: Command["direction"]; act: (wanted: Payload) => Answer }> = {
  "ship-order": { direction: "do", act: ship },
  "cancel-shipment": { direction: "undo", act: cancel },
};

function ship(wanted: Payload): Answer {
  database.prepare("INSERT INTO parcel VALUES (?, ?)").run(wanted.order_id, wanted.country);
  if (!CARRIERS.has(wanted.country)) return no("no-carrier", `nobody delivers to ${wanted.country}`);
  return yes({ reference: `S-${wanted.order_id}` });
}

function cancel(wanted: Payload): Answer {
  database.prepare("DELETE FROM parcel WHERE order_id = ?").run(wanted.order_id);
  return yes({});
}

class Bad extends Error {}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, commands, name = ""] = (request.url ?? "").split("/");
  if (request.method === "GET" && request.url === "/state") {
    return send(response, 200, JSON.stringify(database.prepare("SELECT count(*) AS standing FROM parcel").get()));
  }
  const handler = commands === "commands" && request.method === "POST" ? HANDLERS[name] : undefined;
  if (!handler) return send(response, 501, ""); // not 404: that would confirm an undo
  try {
    const payload: unknown = JSON.parse(await body(request));
    const command = read(request, name, payload);
    if (command.direction !== handler.direction) throw new Bad("Amends-Direction is not this command's");
    if (!isPayload(payload)) return problem(response, 422, "order_id and country are needed", "invalid-payload");
    const answer = admit(database, command, () => handler.act(payload));
    if (command.id === process.env["CRASH_BEFORE_ANSWER"]) {
      process.kill(process.pid, "SIGKILL"); // for the demonstration: it has acted and will not say so
    }
    if (answer.succeeded) return send(response, 200, answer.body);
    const refusal = JSON.parse(answer.body) as { code: string; reason: string };
    problem(response, 409, refusal.reason, refusal.code);
  } catch (fault) {
    if (fault instanceof Bad || fault instanceof Reused || fault instanceof SyntaxError) {
      return problem(response, 400, fault.message);
    }
    console.error(fault);
    problem(response, 500, "nothing was done, the log says more");
  }
}

async function body(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > LARGEST_BODY) throw new Bad("the body is too large");
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}

/** Takes the command from the contract's headers. */
function read(request: IncomingMessage, name: string, payload: unknown): Command {
  const header = (wanted: string): string => {
    const value = request.headers[wanted];
    if (typeof value !== "string" || value === "") throw new Bad(`the header ${wanted} must stand once`);
    return value;
  };
  const namespace = request.headers["amends-namespace"]?.toString() ?? "default";
  const step = decodeURIComponent(header("amends-step"));
  const [sagaId, direction, round] = [header("amends-saga-id"), header("amends-direction"), header("amends-round")];
  if (direction !== "do" && direction !== "undo") throw new Bad("Amends-Direction must be do or undo");
  const content = JSON.stringify([name, namespace, sagaId, step, direction, round, payload]);
  const fingerprint = createHash("sha256").update(content).digest("hex");
  return { id: header("idempotency-key"), namespace, sagaId, step, direction, fingerprint };
}

function isPayload(value: unknown): value is Payload {
  const { order_id, country } = (value ?? {}) as Partial<Payload>;
  return typeof order_id === "string" && order_id !== "" && typeof country === "string";
}

function problem(response: ServerResponse, status: number, detail: string, code?: string): void {
  send(response, status, JSON.stringify({ status, detail, code }), "application/problem+json"); // code: only a business no
}

function send(response: ServerResponse, status: number, text: string, type = "application/json"): void {
  response.writeHead(status, { "Content-Type": type }).end(text);
}

const server = createServer((request, response) => void serve(request, response));
server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`ready http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
if (options["with-parent"]) process.stdin.on("end", () => process.exit(0)).resume();
