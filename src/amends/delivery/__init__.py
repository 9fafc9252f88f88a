"""The doors: they parse, call the application and render.

Rules: no rules of their own; an error is said in one line, with the mend.
They do not: decide, store or send.
"""
