"""The booking process' three services: each a process with a database of its own, none of them aware of a saga."""
