// The inventory service in Go: what lies on the shelf, and what of it is set aside for which order.
//
//	inventory --port 8101 --database inventory.db
//
// It knows no saga: it answers reserve-inventory and its undo, release-inventory, as the contract for HTTP participants
// says. That a command acts once is the work of barrier.go.
package main

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"

	_ "modernc.org/sqlite"
)

const tables = `
CREATE TABLE IF NOT EXISTS product (sku TEXT PRIMARY KEY, on_hand INTEGER NOT NULL CHECK (on_hand >= 0)) STRICT;
CREATE TABLE IF NOT EXISTS reservation (order_id TEXT PRIMARY KEY, sku TEXT NOT NULL, quantity INTEGER NOT NULL) STRICT;
INSERT INTO product VALUES ('kettle', 1000), ('toaster', 1) ON CONFLICT DO NOTHING;`

type order struct {
	OrderID  string `json:"order_id"`
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// handlers has each command's direction, and what it does within the barrier's transaction.
var handlers = map[string]struct {
	direction string
	act       func(*sql.Tx, order) (any, *refusal)
}{"reserve-inventory": {"do", reserve}, "release-inventory": {"undo", release}}

func reserve(tx *sql.Tx, wanted order) (any, *refusal) {
	if run(tx, "UPDATE product SET on_hand = on_hand - ?1 WHERE sku = ?2 AND on_hand >= ?1", wanted.Quantity, wanted.SKU) == 0 {
		return nil, &refusal{"out-of-stock", "not enough " + wanted.SKU}
	}
	run(tx, "INSERT INTO reservation VALUES (?, ?, ?)", wanted.OrderID, wanted.SKU, wanted.Quantity)
	return map[string]string{"reference": "R-" + wanted.OrderID}, nil
}

func release(tx *sql.Tx, wanted order) (any, *refusal) {
	run(tx, `UPDATE product SET on_hand = on_hand + quantity FROM reservation
		WHERE reservation.order_id = ? AND reservation.sku = product.sku`, wanted.OrderID)
	run(tx, "DELETE FROM reservation WHERE order_id = ?", wanted.OrderID)
	return struct{}{}, nil
}

// fault is what the sender did wrong; a code makes it a business no.
type fault struct {
	status       int
	code, detail string
}

func need(holds bool, status int, code, detail string) {
	if !holds {
		panic(fault{status, code, detail})
	}
}

func serve(db *sql.DB, response http.ResponseWriter, request *http.Request) {
	defer func() {
		switch found := recover().(type) {
		case nil:
		case fault:
			problem(response, found)
		default:
			fmt.Fprintln(os.Stderr, found)
			problem(response, fault{http.StatusInternalServerError, "", "nothing was done, the log says more"})
		}
	}()
	handler, known := handlers[request.PathValue("name")]
	need(known, http.StatusNotImplemented, "", "no such command") // not 404: that would confirm an undo
	received, wanted := read(request)
	need(received.direction == handler.direction, 400, "", "Amends-Direction is not this command's")
	need(wanted.OrderID != "" && wanted.Quantity > 0, 422, "invalid-payload", "order_id and a positive quantity are needed")
	given := admit(db, received, func(tx *sql.Tx) (any, *refusal) { return handler.act(tx, wanted) })
	if received.id == os.Getenv("CRASH_BEFORE_ANSWER") {
		syscall.Kill(os.Getpid(), syscall.SIGKILL) // for the demonstration: it has acted and will not say so
	}
	if !given.succeeded {
		var no refusal
		check(json.Unmarshal(given.body, &no))
		panic(fault{http.StatusConflict, no.Code, no.Reason})
	}
	response.Header().Set("Content-Type", "application/json")
	response.Write(given.body)
}

// read takes the command from the contract's headers, and the payload from the body.
func read(request *http.Request) (received command, wanted order) {
	header := request.Header.Get
	step, err := url.PathUnescape(header("Amends-Step"))
	complete := header("Idempotency-Key") != "" && header("Amends-Saga-Id") != "" && header("Amends-Round") != ""
	need(err == nil && step != "" && complete, 400, "", "a header of the contract is missing")
	received = command{id: header("Idempotency-Key"), namespace: header("Amends-Namespace"), step: step,
		sagaID: header("Amends-Saga-Id"), direction: header("Amends-Direction"), name: request.PathValue("name")}
	decoder := json.NewDecoder(http.MaxBytesReader(nil, request.Body, 1<<20))
	decoder.DisallowUnknownFields()
	need(decoder.Decode(&wanted) == nil, 400, "", "the body is not what this command takes")
	content := []any{received.name, received.namespace, received.sagaID, step, received.direction, header("Amends-Round"), wanted}
	received.fingerprint = fmt.Sprintf("%x", sha256.Sum256(encoded(content)))
	return received, wanted
}

func problem(response http.ResponseWriter, found fault) {
	fields := map[string]any{"title": http.StatusText(found.status), "status": found.status, "detail": found.detail}
	if found.code != "" {
		fields["code"] = found.code
	}
	response.Header().Set("Content-Type", "application/problem+json")
	response.WriteHeader(found.status)
	response.Write(encoded(fields))
}

func main() {
	port := flag.Int("port", 0, "0 takes any free one")
	file := flag.String("database", "inventory.db", "its SQLite file")
	withParent := flag.Bool("with-parent", false, "end when standard input closes")
	flag.Parse()
	settings := "_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite", "file:"+*file+"?"+settings)
	check(err)
	db.SetMaxOpenConns(1)
	_, err = db.Exec(barrierTables + tables)
	check(err)
	http.HandleFunc("POST /commands/{name}", func(w http.ResponseWriter, r *http.Request) { serve(db, w, r) })
	http.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) {
		var reservations, onHand int
		check(db.QueryRow("SELECT (SELECT count(*) FROM reservation), sum(on_hand) FROM product").Scan(&reservations, &onHand))
		w.Write(encoded(map[string]int{"standing": reservations, "on_hand": onHand}))
	})
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	check(err)
	if *withParent {
		go func() { io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	}
	fmt.Printf("ready http://%s\n", listener.Addr())
	check(http.Serve(listener, nil))
}
