"""Search every choice that the world has: all outcomes, all orders, late and lost messages, a crash after each.

Rules
- Breadth first, so the first counter-example found is a shortest one. A pair of state and world is visited once.
- After every transition the state is thrown away and folded again from the facts as they are stored.
- Time is symbolic: any timer that is set may fire next. That is more than clocks allow, so what holds here holds there;
  instants, positions and the numbers of forgiven attempts are left out of what tells two states apart.
- Every stream ends: from each visited pair some path leads to an end.
It does not: judge (`invariants`), or know how participants behave (`world`).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from amends.core import trigger as t
from amends.core.decide import decide
from amends.core.decision import Decision, Rejected
from amends.core.effect import Direction
from amends.core.event import AnyEvent
from amends.core.evolve import evolve
from amends.core.outcome import Succeeded
from amends.core.plan import Plan, StepPlace
from amends.core.state import State, StepState, initial
from amends.simulation.invariants import OF_STATE, OF_TRANSITION, Subject
from amends.simulation.world import Call, Said, World, answers, delivered, executed, lost, sent

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
LATER: Final = NOW + timedelta(days=1)
MOST_STATES: Final = 1_000_000


class Execute(msgspec.Struct, frozen=True, tag=True):
    """The participant acts on a command."""

    call: Call
    yes: bool


class Deliver(msgspec.Struct, frozen=True, tag=True):
    """A reply arrives."""

    said: Said


class Lose(msgspec.Struct, frozen=True, tag=True):
    """A reply never arrives."""

    said: Said


class Fire(msgspec.Struct, frozen=True, tag=True):
    """A timer is due."""

    path: str


class Ask(msgspec.Struct, frozen=True, tag=True):
    """Somebody outside asks for something."""

    trigger: t.Start | t.Cancel | t.Pause | t.Resume | t.Retry | t.Resolve | t.Skip | t.Abandon | t.Signal


Choice: TypeAlias = Execute | Deliver | Lose | Fire | Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the world may do to the saga."""

    data: bytes = b"null"
    replies: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """JSON by static step path; ``null`` where none is given."""
    signals: tuple[t.Signal, ...] = ()
    barrier: bool = True
    losing: bool = False
    cancel: bool = True
    pause: bool = False
    patient: bool = False
    """Undos, pivots and retriable steps are waited for: their timers do not fire, so nothing is ever stuck by time.
    It keeps large sagas within reach; a late answer is late all the same.
    """
    acts: tuple[str, ...] = ("retry",)
    """What a person does about a stuck step: retry, resolve, skip, abandon."""
    most: int = MOST_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A rule that does not hold, and the shortest way there."""

    rule: int
    sentence: str
    complaint: str
    trace: tuple[Choice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What a search saw."""

    states: int
    transitions: int
    ends: dict[str, int]
    violation: Violation | None = None


class Found(Exception):
    """A predicate does not hold; carried up to the search."""

    def __init__(self, rule: int, sentence: str, complaint: str) -> None:
        """Keep the parts."""
        super().__init__(complaint)
        self.rule, self.sentence, self.complaint = rule, sentence, complaint


_STORED = msgspec.json.Decoder(list[AnyEvent])


def explore(plan: Plan, settings: Settings) -> Exploration:
    """Visit everything that can happen to one instance of the saga.

    Raises:
        OverflowError: there are more states than the settings allow.
    """
    return _Search(plan, settings).run()


def step_once(
    subject: Subject, settings: Settings, state: State, world: World, choice: Choice
) -> tuple[State, World, Decision | None]:
    """Return what `choice` leads to, with the decision where the orchestrator took one; raises `Found`."""
    match choice:
        case Execute():
            return state, executed(world, choice.call, yes=choice.yes), None
        case Lose():
            return state, lost(world, choice.said), None
        case Deliver():
            call, yes = choice.said
            step = state.nodes.get(call.step)
            attempt = step.attempt if isinstance(step, StepState) else 1
            reply = t.Reply(
                call.step, call.direction, call.round, attempt, subject.answer(call.step, yes=yes)
            )
            return _decided(subject, state, delivered(world, choice.said), reply)
        case Fire():
            return _decided(subject, due(state, choice.path), world, t.Tick())
        case Ask():
            return _decided(subject, state, world, choice.trigger)


def _decided(
    subject: Subject, state: State, world: World, trigger: t.Trigger
) -> tuple[State, World, Decision | None]:
    try:
        decision = decide(subject.plan, state, trigger, NOW)
    except Rejected:
        return state, world, None
    stored = msgspec.json.encode(decision.events)
    after = evolve(state, _STORED.decode(stored))
    for invariant in OF_TRANSITION:
        for complaint in invariant.complaints(subject, state, decision, after):
            raise Found(invariant.rule, invariant.sentence, complaint)
    return timeless(after), sent(world, decision.commands), decision


def due(state: State, path: str) -> State:
    """Return `state` with the timer at `path` due, and no other."""
    twin = state.fork()
    twin.timers = dict.fromkeys(twin.timers, LATER)
    twin.timers[path] = NOW
    return twin


def timeless(state: State) -> State:
    """Return `state` without what only counts or tells: instants, position, forgiven attempts, old reasons."""
    twin = state.fork()
    twin.position = 1
    twin.timers = dict.fromkeys(sorted(twin.timers), LATER)
    for path, node in state.nodes.items():
        if isinstance(node, StepState):
            twin.nodes[path] = _timeless(node)
    return twin


def _timeless(step: StepState) -> StepState:
    tried = step.phase in ("doing", "retrying", "undoing", "undo-retrying", "stuck", "undo-stuck")
    attempt = max(1, step.attempt - step.budget_from) if tried and step.attempt else min(1, step.attempt)
    return replace(
        step,
        attempt=attempt,
        budget_from=0,
        due=None if step.due is None else LATER,
        reason=step.reason if step.phase == "refused" else "",
        back=step.back if step.phase in ("stuck", "undo-stuck") else "idle",
    )


class _Search:
    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.settings = settings
        self.subject = Subject(plan, settings.data, NOW, barrier=settings.barrier, replies=settings.replies)
        self.numbers: dict[bytes, int] = {}
        self.came: list[tuple[int, Choice]] = []
        self.back: list[list[int]] = []
        self.ended: list[int] = []
        self.ends: dict[str, int] = {}
        self.queue: deque[tuple[int, State, World]] = deque()
        self.transitions = 0

    def run(self) -> Exploration:
        begin = Ask(t.Start(self.settings.data))
        try:
            self.follow(-1, initial("default", "s"), World(), begin)
            while self.queue:
                number, state, world = self.queue.popleft()
                for choice in choices(self.subject, self.settings, state, world):
                    self.follow(number, state, world, choice)
        except _Stopped as stopped:
            return self.seen(stopped.violation)
        return self.seen(self.without_end())

    def seen(self, violation: Violation | None) -> Exploration:
        return Exploration(
            states=len(self.numbers), transitions=self.transitions, ends=self.ends, violation=violation
        )

    def follow(self, number: int, state: State, world: World, choice: Choice) -> None:
        """Make one choice; visit what it leads to, unless it was visited."""
        self.transitions += 1
        try:
            after, around, _decision = step_once(self.subject, self.settings, state, world, choice)
            key = _key(after, around)
            reached = self.numbers.get(key)
            if reached is None:
                reached = self.visit(key, number, choice, after, around)
        except Found as found:
            trace = (*self.trace(number), choice)
            raise _Stopped(
                Violation(rule=found.rule, sentence=found.sentence, complaint=found.complaint, trace=trace)
            ) from found
        if number >= 0 and reached != number:
            self.back[reached].append(number)

    def visit(self, key: bytes, number: int, choice: Choice, state: State, world: World) -> int:
        reached = len(self.numbers)
        if reached >= self.settings.most:
            raise OverflowError(f"more than {self.settings.most} states")
        self.numbers[key] = reached
        self.came.append((number, choice))
        self.back.append([])
        self.queue.append((reached, state, world))
        if state.final:
            self.ended.append(reached)
            self.ends[state.final] = self.ends.get(state.final, 0) + 1
        for invariant in OF_STATE:
            for complaint in invariant.complaints(self.subject, state, world):
                raise Found(invariant.rule, invariant.sentence, complaint)
        return reached

    def trace(self, number: int) -> tuple[Choice, ...]:
        way: list[Choice] = []
        while number >= 0:
            number, choice = self.came[number]
            way.append(choice)
        return tuple(reversed(way))

    def without_end(self) -> Violation | None:
        """Look back from the ends for a state from which none is reached."""
        good = set(self.ended)
        waiting = list(self.ended)
        while waiting:
            for earlier in self.back[waiting.pop()]:
                if earlier not in good:
                    good.add(earlier)
                    waiting.append(earlier)
        for number in range(len(self.came)):
            if number not in good:
                sentence = "From each reachable state some sequence of outcomes reaches an end."
                return Violation(
                    rule=11, sentence=sentence, complaint="no end is reached", trace=self.trace(number)
                )
        return None


class _Stopped(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.complaint)
        self.violation = violation


def _key(state: State, world: World) -> bytes:
    text = msgspec.msgpack.encode((state, world), order="deterministic")
    return blake2b(text, digest_size=16).digest()


def choices(subject: Subject, settings: Settings, state: State, world: World) -> Iterator[Choice]:
    """Yield everything that can happen next, but not two orders that cannot be told apart.

    Where a participant has one answer and nothing else in flight touches what it acts on, it acts at once; its answer
    is late or lost all the same.
    """
    for call in sorted(world.commands):
        if _alone(subject, world, call):
            yield Execute(call, yes=True)
            return
    for call in sorted(world.commands):
        refusable = call.direction == "do" and _refusable(subject.plan, call.step)
        for yes in answers(world, call, barrier=settings.barrier, refusable=refusable):
            yield Execute(call, yes)
    for said in sorted(world.replies):
        yield Deliver(said)
        if settings.losing:
            yield Lose(said)
    if not state.final and not state.paused:
        for path in sorted(state.timers):
            if not (settings.patient and _must_succeed(subject.plan, state, path)):
                yield Fire(path)
    if not state.final:
        yield from _asked(settings, state)
        for path in sorted(state.stuck):
            yield from (Ask(act) for act in _acts(settings, path, state.stuck[path], world))


def _refusable(plan: Plan, path: str) -> bool:
    place = plan.locate(path)[0]
    return isinstance(place, StepPlace) and place.step.kind != "retriable"


def _alone(subject: Subject, world: World, call: Call) -> bool:
    if call.direction == "undo":
        return not any(other.step == call.step and other.direction == "do" for other in world.commands)
    return not _refusable(subject.plan, call.step)


def _must_succeed(plan: Plan, state: State, path: str) -> bool:
    step, place = state.nodes.get(path), plan.locate(path)[0]
    if not isinstance(step, StepState):
        return False
    return step.phase in ("undoing", "undo-retrying") or not (
        isinstance(place, StepPlace) and place.compensatable
    )


def _asked(settings: Settings, state: State) -> Iterator[Choice]:
    if settings.cancel and not (state.no_return or state.cancel or "" in state.turned or state.reopened):
        yield Ask(t.Cancel("somebody", "asks"))
    if settings.pause:
        yield Ask(t.Resume("somebody", "goes on")) if state.paused else Ask(t.Pause("somebody", "waits"))
    for signal in settings.signals:
        if signal.signal_id not in state.signal_ids:
            yield Ask(signal)


def _acts(
    settings: Settings, path: str, direction: Direction, world: World
) -> Iterator[t.Retry | t.Resolve | t.Skip | t.Abandon]:
    """Yield what a person may do; nobody resolves a step whose participant has not acted."""
    acted = any(said.yes and said.call[:2] == (path, direction) for said in world.acted)
    for act in settings.acts:
        match act:
            case "retry":
                yield t.Retry(path, "somebody", "again")
            case "resolve":
                if acted:
                    yield t.Resolve(path, Succeeded(), "somebody", "looked")
            case "skip":
                yield t.Skip(path, "somebody", "goes on without")
            case _:
                yield t.Abandon("somebody", "gives up")
