"""The three services of a reservation: each a process with a database of its own, none of them aware of a saga."""
