"""The house's rules, as functions over one source file: text in, findings out.

Each finding names the place and the mend. Rules read syntax, not behaviour: what they cannot see, a review must.
`test_house.py` runs them over the tree, `test_rules.py` proves that each of them can fail.
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

LONGEST_FUNCTION = 60
LONGEST_MODULE = 500
MEDIAN_FUNCTION = 8
NINETIETH_PERCENTILE = 25

CODE_FOLDERS = ("src", "tests", "examples", "bench", "servers")
VAGUE_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"})
PURE_ROOMS = frozenset({"definition", "core", "simulation", "export", "wire"})
ASYNC_ROOMS = frozenset(
    {"adapters", "application", "avro", "delivery", "driver", "participant", "ports", "testing"}
)

# What a pure room must be given instead of asking for it; a name that ends in a dot stands for the whole module.
IMPURE_CALLS = (
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "os.",
    "random.",
    "secrets.",
    "time.",
    "uuid.",
)
EVASIONS = frozenset(
    {f"pytest.{name}" for name in ("skip", "xfail", "importorskip")}
    | {f"pytest.mark.{name}" for name in ("skip", "skipif", "xfail")}
    | {f"unittest.{name}" for name in ("skip", "skipIf", "skipUnless", "expectedFailure", "SkipTest")}
)

# Written in pieces, so that this file keeps the rules that it states.
LEFTOVERS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(host)
        for host in (
            "py" + "pi.org",
            "python" + "hosted",
            "npm" + "js.org",
            "npm" + "js.com",
            "proxy.go" + "lang",
            "maven" + ".org",
            "apache.org/" + "maven2",
            "deb" + ".debian",
        )
    )
)
MACHINE_PATHS = re.compile(r"/wo" + r"rk/(main|shared|steering|lab|\.library|\.mirror)\b|/opt/" + "wheels")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A place where a rule does not hold, and the mend."""

    path: PurePosixPath
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.message}"


@dataclass(frozen=True)
class Source:
    """One text file of the project, by its path from the project's root."""

    path: PurePosixPath
    text: str

    def finding(self, line: int, message: str) -> Finding:
        return Finding(path=self.path, line=line, message=message)

    @property
    def is_code(self) -> bool:
        return self.path.suffix == ".py" and self.folder in CODE_FOLDERS

    @property
    def is_test(self) -> bool:
        """All of tests, and the tests that stand beside an example."""
        return self.folder == "tests" or self.path.name.startswith(("test_", "conftest"))

    @property
    def folder(self) -> str:
        """The folder at the project's root: src, tests, examples, bench."""
        return self.path.parts[0]

    @property
    def room(self) -> str | None:
        """The package below src/amends that the file belongs to, or the module that stands there alone."""
        match self.path.parts:
            case ("src", "amends", name, *_):
                return PurePosixPath(name).stem
            case _:
                return None

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(ast.parse(self.text)))

    @property
    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes if isinstance(node, Function))

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for: `from time import sleep as nap` gives nap → time.sleep."""
        names: dict[str, str] = {}
        for node in self.nodes:
            match node:
                case ast.Import(names=aliases):
                    names |= {alias.asname: alias.name for alias in aliases if alias.asname}
                case ast.ImportFrom(module=str(module), names=aliases):
                    names |= {alias.asname or alias.name: f"{module}.{alias.name}" for alias in aliases}
                case _:
                    pass
        return names


def dotted(source: Source, node: ast.expr) -> str:
    """The full name that an expression spells ("time.sleep"), or "" when it spells none."""
    match node:
        case ast.Name(id=name):
            return source.imported.get(name, name)
        case ast.Attribute(value=value, attr=attribute):
            owner = dotted(source, value)
            return f"{owner}.{attribute}" if owner else ""
        case _:
            return ""


def function_length(function: Function) -> int:
    """Lines from `def` to the end, the docstring left out."""
    first = function.body[0]
    documented = ast.get_docstring(function, clean=False) is not None
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if documented else 0
    return (function.end_lineno or function.lineno) - function.lineno + 1 - docstring


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


# --- rules over one Python file -------------------------------------------------------------------


def opens_with_docstring(source: Source) -> Iterator[Finding]:
    if source.folder in {"src", "examples"} and not ast.get_docstring(ast.parse(source.text)):
        yield source.finding(
            1, "has no docstring: open with what the module is, its rules, what it does not do"
        )


def short_functions(source: Source) -> Iterator[Finding]:
    for function in source.functions:
        if (length := function_length(function)) > LONGEST_FUNCTION:
            yield source.finding(
                function.lineno,
                f"{function.name} has {length} lines: split it, {LONGEST_FUNCTION} are the most",
            )


def short_modules(source: Source) -> Iterator[Finding]:
    if (length := len(source.text.splitlines())) > LONGEST_MODULE:
        yield source.finding(length, f"{length} lines: split the module, {LONGEST_MODULE} are the most")


def telling_names(source: Source) -> Iterator[Finding]:
    for name in (part.removesuffix(".py") for part in source.path.parts):
        if name.rsplit("_", 1)[-1] in VAGUE_NAMES:
            yield source.finding(1, f"“{name}” says nothing: name it for the one thing that it does")


def pure_rooms(source: Source) -> Iterator[Finding]:
    if source.room not in PURE_ROOMS:
        return
    for node in source.nodes:
        if isinstance(node, ast.Call) and (name := dotted(source, node.func)).startswith(IMPURE_CALLS):
            yield source.finding(node.lineno, f"{name} in a pure room: take the value as an argument")


def async_rooms(source: Source) -> Iterator[Finding]:
    if source.folder != "src" or source.room in ASYNC_ROOMS:
        return
    for node in source.nodes:
        if isinstance(node, ast.AsyncFunctionDef):
            rooms = ", ".join(sorted(ASYNC_ROOMS))
            yield source.finding(node.lineno, f"async def {node.name}: async belongs in {rooms}")


def tests_do_not_sleep(source: Source) -> Iterator[Finding]:
    if not source.is_test:
        return
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        name = dotted(source, node.func)
        # asyncio.sleep(0) waits for nothing: it lets the other tasks run.
        yields_only = name == "asyncio.sleep" and [ast.unparse(argument) for argument in node.args] == ["0"]
        if name in {"time.sleep", "asyncio.sleep"} and not yields_only:
            yield source.finding(node.lineno, f"{name}: wait for a signal or move the manual clock")


def tests_do_not_evade(source: Source) -> Iterator[Finding]:
    if not source.is_test:
        return
    for node in source.nodes:
        if isinstance(node, ast.Attribute | ast.Name) and (name := dotted(source, node)) in EVASIONS:
            yield source.finding(node.lineno, f"{name}: a test runs and passes, or it is not there")


# --- rules over any text file ---------------------------------------------------------------------


def matches(source: Source, pattern: re.Pattern[str], mend: str) -> Iterator[Finding]:
    for match in pattern.finditer(source.text):
        yield source.finding(line_of(source.text, match.start()), f"“{match[0]}”: {mend}")


def no_leftovers(source: Source) -> Iterator[Finding]:
    return matches(source, LEFTOVERS, "do it now, or open an issue")


def no_registry_hosts(source: Source) -> Iterator[Finding]:
    return matches(source, REGISTRY_HOSTS, "leave the choice of a registry to the reader's own settings")


def no_machine_paths(source: Source) -> Iterator[Finding]:
    return matches(source, MACHINE_PATHS, "use a path from the project's root")


Rule = Callable[[Source], Iterator[Finding]]

CODE_RULES: tuple[Rule, ...] = (
    opens_with_docstring,
    short_functions,
    short_modules,
    telling_names,
    pure_rooms,
    async_rooms,
    tests_do_not_sleep,
    tests_do_not_evade,
)
TEXT_RULES: tuple[Rule, ...] = (no_leftovers, no_registry_hosts, no_machine_paths)


# --- rules over all functions together ------------------------------------------------------------


def percentile(lengths: Iterable[int], share: float) -> int:
    """The smallest length that `share` of the functions do not exceed; 0 when there are none."""
    ordered = sorted(lengths)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else 0


def small_on_the_whole(lengths: Iterable[int]) -> Iterator[str]:
    """Say by how much the functions of src are too long on the whole."""
    known = tuple(lengths)
    for name, share, limit in (
        ("the median function", 0.5, MEDIAN_FUNCTION),
        ("the ninetieth percentile", 0.9, NINETIETH_PERCENTILE),
    ):
        if (found := percentile(known, share)) > limit:
            yield f"{name} in src has {found} lines, {limit} are the most: split the longest functions"
