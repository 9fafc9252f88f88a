"""The order process' four services: each a process with a database of its own, none of them aware of a saga."""
