"""The REST client that the command line uses: blocking, and quick to import.

Rules: the standard library's HTTP, because a command asks one question and ends; documents are plain JSON values. What
goes wrong is one of two exceptions, each one line that names the mend (`faults`).
It does not: print, or know the command line.
"""
