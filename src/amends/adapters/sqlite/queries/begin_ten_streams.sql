-- Begin ten streams; as with one, another of the same identity takes the transaction back.
INSERT OR ROLLBACK INTO stream (number, namespace, saga_id)
VALUES
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?),
    (?, ?, ?)
