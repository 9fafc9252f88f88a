"""A saga in another notation, and what that notation cannot say.

Rules: pure; text in, text out, in a stable order, so that a diff shows what changed.
It does not: write files or call a converter.
"""
