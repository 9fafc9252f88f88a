"""The four services of an acceptance: each a process with a database of its own, none of them aware of a saga."""
