#!/bin/sh
# Chooses the interpreter of a new .venv: prints the command to take of those that are named, in their order of preference.
# The first that will do is taken, unless a later one needs less than four fifths of its time for a piece of Python: how an
# interpreter was built is worth that much (docs/decisions/0043-quicker-interpreter.md). If none will do, it says why.
#   sh requirements/interpreter.sh python3 python3.13 /usr/bin/python3
set -u

# Prints how long the piece takes, in microseconds of CPU; or what is wrong, in words for the middle of a sentence.
probe='
import sys
if sys.version_info < (3, 11):
    sys.exit("is Python %d.%d" % sys.version_info[:2])
try:
    import ensurepip, venv
except ImportError:
    sys.exit("lacks the venv module (Debian, Ubuntu: apt install python3-venv)")
from time import process_time

class Pair:
    __slots__ = ("one", "other")

    def __init__(self, one, other):
        self.one = one
        self.other = other

def added(pair):
    return pair.one + pair.other

def piece():
    began, seen = process_time(), {}
    for number in range(20000):
        seen[number % 50] = added(Pair(number, 2))
    return process_time() - began

print(int(min(piece() for _ in range(7)) * 1e6))
'

first='' found='' least=0 reasons=''
for candidate; do
    if ! command -v "$candidate" >/dev/null 2>&1; then
        reasons="$reasons $candidate is not there;"
    elif answer=$("$candidate" -c "$probe" 2>&1); then
        first=${first:-$candidate}
        if [ -z "$found" ] || [ $((answer * 5)) -lt $((least * 4)) ]; then
            found=$candidate least=$answer
        fi
    else
        reasons="$reasons $candidate $(printf '%s\n' "$answer" | head -n 1);"
    fi
done
if [ -z "$found" ]; then
    echo "setup: Amends needs Python 3.11 or newer:$reasons name one with make setup PYTHON=/path/to/python3" >&2
    exit 1
fi
if [ "$found" != "$first" ]; then
    echo "setup: taking $found, which is quicker than $first; make setup PYTHON=$first takes that all the same" >&2
fi
echo "$found"
