"""What the demo shows: sagas on their way, then a table, then whether all adds up, in plain words.

Rules:
- In a terminal those on their way are drawn in place; elsewhere a line says how far they are, at least every
  `LONGEST_SILENCE` seconds, without colours. With `--json` standard output is the document's alone: progress goes to
  standard error, and only if that is a terminal.
- A terminal too narrow to draw in counts as none. What its encoding lacks is written in ASCII.

Does not do: know how sagas are run, or decide whether all is well.
"""

import asyncio
import sys
from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from examples.running.example import States, Topic
from examples.running.orchestrate import SagaSeen, StepSeen
from examples.running.progress import BUSY, UNDOING, Progress
from examples.running.verdict import Verdict

NARROW = 60
WIDE = 110
"""From here on a table has room for what each case is about."""
ELSEWHERE = 140
"""The width of what no terminal shows."""
SHORTEST_SILENCE = 1.0
LONGEST_SILENCE = 8.0
FRAME = 0.125
COLOURS = {"completed": "green", "compensated": "yellow", "compensating": "yellow", "running": "cyan"}
WORDS = {"doing": "", "retrying": "retrying ", "undoing": "undoing ", "undo-retrying": "undoing again "}


class Screen:
    """Where the demo shows what it does."""

    def __init__(self, *, json: bool, noun: str) -> None:
        self._noun = noun
        stream = sys.stderr if json else sys.stdout
        if forgive := getattr(stream, "reconfigure", None):
            forgive(errors="backslashreplace")
        self._silent = json and not stream.isatty()
        self._console, self.draws = _console(stream)

    def say(self, text: str) -> None:
        """One line, at once."""
        if not self._silent:
            self._console.print(text, markup=False, highlight=False, soft_wrap=not self.draws)

    async def watch(self, progress: Progress) -> None:
        """Show how the sagas go on, until cancelled."""
        if self._silent:
            await asyncio.Event().wait()
        elif self.draws:
            await self._draw(progress)
        else:
            await self._tell(progress)

    async def _draw(self, progress: Progress) -> None:
        began = asyncio.get_running_loop().time()
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                seconds = asyncio.get_running_loop().time() - began
                live.update(_picture(progress, self._noun, seconds, self._console.height), refresh=True)
                await asyncio.sleep(FRAME)

    async def _tell(self, progress: Progress) -> None:
        clock = asyncio.get_running_loop().time
        began = told = clock()
        before = ""
        while True:
            line = _line(progress, self._noun)
            silence = clock() - told
            if (line != before and silence >= SHORTEST_SILENCE) or silence >= LONGEST_SILENCE:
                self.say(f"{clock() - began:4.0f} s  {line}")
                told, before = clock(), line
            await asyncio.sleep(FRAME)

    def table(self, progress: Progress) -> None:
        """Show how each saga ended."""
        if self._silent:
            return
        wide = self._console.width >= WIDE
        rows = [_row(saga_id, progress, wide=wide) for saga_id in progress.cases]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        names = (self._noun, *(("what it is",) if wide else ()), "end", "as", "steps", "undone", "time")
        for name in names:
            justify: JustifyMethod = "right" if name in {"steps", "undone", "time"} else "left"
            table.add_column(name, no_wrap=True, justify=justify)
        for row in rows:
            table.add_row(*row)
        if wide:
            self._fit(table, [row[1] for row in rows])
        self._console.print(table)

    def _fit(self, table: Table, texts: Sequence[Text]) -> None:
        """Cut `texts`, which stand in one of the table's columns, to what the terminal has room for."""
        unbounded = self._console.options.update(width=10 * ELSEWHERE)
        excess = self._console.measure(table, options=unbounded).maximum - self._console.width
        longest = max(text.cell_len for text in texts)
        for text in texts:
            text.truncate(longest - max(excess, 0), overflow="ellipsis")

    def verdict(self, progress: Progress, verdict: Verdict, topics: Sequence[Topic], states: States) -> None:
        """Say whether all ended as it should and adds up."""
        for saga_id, case in progress.cases.items():
            if reason := progress.not_started.get(saga_id):
                self.say(f"{saga_id} could not be started: {reason}")
            elif not progress.as_expected(saga_id):
                expected = " as ".join(filter(None, (case.expect.status, case.expect.business_status)))
                self.say(f"{saga_id} did not end as expected ({expected}): {case.about}")
        for topic in topics:
            wrong = [f"  - {line}" for name in topic.checks for line in verdict.explanations[name]]
            self.say("\n".join([f"{topic.subject} NOT add up:", *wrong]) if wrong else topic.well(states))


def _console(stream: TextIO) -> tuple[Console, bool]:
    """The console on a stream, and whether it can draw."""
    console = Console(file=stream)
    if console.is_terminal and not console.is_dumb_terminal and console.width >= NARROW:
        return console, True
    width = WIDE - 1 if console.is_terminal else ELSEWHERE
    return Console(file=stream, width=width, force_terminal=False, no_color=True), False


def _line(progress: Progress, noun: str) -> str:
    undoing = sum(saga.status == "compensating" for saga in progress.in_work)
    return f"{progress.ended} of {len(progress.cases)} {noun}s at their end, {undoing} being undone"


def _picture(progress: Progress, noun: str, seconds: float, height: int) -> RenderableType:
    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=len(progress.cases), completed=progress.ended, width=30)
    head.add_row(bar, f"{progress.ended} of {len(progress.cases)} {noun}s at their end", f"{seconds:.0f} s")
    in_work = progress.in_work
    room = max(height - 5, 1)
    body = [_on_its_way(saga) for saga in in_work[:room]]
    rest = f"and {len(in_work) - room} more" if len(in_work) > room else ""
    return Group(head, "", *body, rest)


def _on_its_way(saga: SagaSeen) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{saga.id:<10}  ")
    line.append(f"{saga.status:<12}  ", style=COLOURS.get(saga.status, "red"))
    line.append(f"{saga.business_status:<20}  ")
    return line.append(_activity(saga), style="dim")


def _activity(saga: SagaSeen) -> str:
    """What goes on in it now."""
    return ", ".join(_step(step) for step in saga.steps if step.phase in BUSY)


def _step(step: StepSeen) -> str:
    again = f" (attempt {step.attempts})" if step.attempts > 1 and step.phase not in UNDOING else ""
    return f"{WORDS[step.phase]}{step.path}{again}"


def _row(saga_id: str, progress: Progress, *, wide: bool) -> list[Text]:
    saga = progress.sagas.get(saga_id)
    first = [Text(saga_id), *([Text(progress.cases[saga_id].about)] if wide else [])]
    if saga is None:
        return [*first, Text("not started", style="red"), *(Text() for _ in range(4))]
    well = progress.as_expected(saga_id)
    end = Text(saga.status if well else f"{saga.status} (!)")
    end.stylize(COLOURS.get(saga.status, "red") if well else "red")
    undone = str(len(saga.undone)) if saga.undone else ""
    time = "" if saga.seconds is None else f"{saga.seconds:.1f} s"
    return [*first, end, *(Text(text) for text in (saga.business_status, str(len(saga.steps)), undone, time))]
