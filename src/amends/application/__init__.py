"""The roles: one file and one verb each. They join the pure core to the ports.

Rules: a role knows ports, core and definition, never an adapter. What a role decides, the core decided.
They do not: hold business rules, or know which technology is behind a port.
"""
