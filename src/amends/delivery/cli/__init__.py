"""The command line `amends`: one module per verb, joined in `app.py`.

Rules: exit codes are 0 well, 1 the answer is no, 2 the question was wrong, 3 nobody could be asked, 130 interrupted,
141 nobody reads on. An error is one line on standard error that names the mend.
They do not: know what a verb's work is made of; they ask the rooms below.
"""
