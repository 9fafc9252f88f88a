"""The three services of order fulfilment: each a process with a database of its own, none of them aware of a saga."""
