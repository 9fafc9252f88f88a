"""The rules of the engine as predicates, each with its number and its sentence (ARCHITECTURE.md, the thirteen rules).

Rules: a predicate yields what is wrong, in words, and nothing when all is well. `OF_TRANSITION` look at one decision,
`OF_STATE` at a state together with the world around it. They read facts and the tree (`simulation.tree`), never the
engine's own walk.
It does not: choose what happens (`explore`).
"""

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from amends.core import event as e, plan as p, trigger as t
from amends.core.decide import decide
from amends.core.decision import Decision, Rejected
from amends.core.effect import command_id
from amends.core.evolve import apply
from amends.core.outcome import Refused, Succeeded
from amends.core.state import State, StepState, Wait
from amends.core.transitions import INSTANCE
from amends.simulation.tree import QUIET, At, begun_below, chain_to, chains, finished, quiet
from amends.simulation.world import World


class Subject:
    """The saga under examination, with what the predicates look up again and again."""

    __slots__ = ("barrier", "chains", "data", "now", "plan", "replies")

    def __init__(
        self, plan: p.Plan, data: bytes, now: datetime, *, barrier: bool, replies: dict[str, bytes]
    ) -> None:
        """Prepare the paths of `plan`; `replies` are the participants' replies by static path."""
        self.plan = plan
        self.data = data
        self.now = now
        self.barrier = barrier
        self.replies = replies
        self.chains = chains(plan)

    def chain(self, path: str) -> list[At]:
        """Return the places from the root down to `path`."""
        return chain_to(self.chains, path)

    def answer(self, path: str, *, yes: bool) -> Succeeded | Refused:
        """Return what the participant at `path` says."""
        return (
            Succeeded(self.replies.get(path.partition("[")[0], b"null")) if yes else Refused("no", "said no")
        )


class Invariant(NamedTuple):
    """A rule, or a part of one."""

    rule: int
    sentence: str
    complaints: Callable[..., Iterator[str]]


def persist_then_act(_subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """Compare what is sent with what the facts order."""
    ordered: list[tuple[str, str, int]] = []
    for event in decision.events:
        match event:
            case e.CommandIssued():
                ordered.append((event.step, event.direction, 1))
            case e.AttemptStarted():
                ordered.append((event.step, event.direction, event.attempt))
            case _:
                pass
    sends = [(command.step, command.direction, command.attempt) for command in decision.commands]
    resumed = any(isinstance(event, e.SagaResumed) for event in decision.events)
    if before.paused and not resumed:
        ordered = []
    missing = [order for order in ordered if order not in sends] if not decision.state.paused else []
    extra = [] if resumed else [send for send in sends if send not in ordered]
    if missing or extra or len(set(sends)) != len(sends):
        yield f"sends {sends} where the facts order {ordered}"
    if any(command not in decision.state.outstanding() for command in decision.commands):
        yield "sends a command that recovery would not send"


def stable_ids(_subject: Subject, before: State, decision: Decision, after: State) -> Iterator[str]:
    """A command keeps id, name and content over its attempts."""
    if after.position != before.position + len(decision.events):
        yield f"positions have a gap: {before.position} + {len(decision.events)} is not {after.position}"
    for command in decision.commands:
        named = command_id(after.namespace, after.saga_id, command.step, command.direction, command.round)
        old = before.nodes.get(command.step)
        if command.command_id != named:
            yield f"{command.command_id} should be {named}"
        if (
            command.attempt > 1
            and isinstance(old, StepState)
            and (old.name, old.payload) != (command.name, command.payload)
        ):
            yield f"{named} has another content in attempt {command.attempt}"


def folded(_subject: Subject, _before: State, decision: Decision, after: State) -> Iterator[str]:
    """What storing and folding the facts gives is what was decided."""
    if after != decision.state:
        yield "the stored facts, folded, give another state"


def allowed(_subject: Subject, before: State, _decision: Decision, after: State) -> Iterator[str]:
    """The table of statuses is kept."""
    if before.position and before.status != after.status and (before.status, after.status) not in INSTANCE:
        yield f"status {before.status} -> {after.status} is in no table"


def forward_order(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """Look at each do at the moment at which it is ordered."""
    for state, event in _moments(before, decision):
        if not isinstance(event, e.CommandIssued) or event.direction == "undo":
            continue
        if "" in state.turned:
            yield f"{event.step} begins although the saga has turned"
        chain = subject.chain(event.step)
        if any(place.path + keys in state.turned for place, keys in chain if place.path):
            yield f"{event.step} begins although its part has turned"
        for earlier in _siblings(chain, before=True):
            if not finished(state, *earlier):
                yield f"{event.step} begins although {earlier[0].path} has not settled"


def backward_order(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """Look at each undo at the moment at which it is ordered."""
    for state, event in _moments(before, decision):
        if not isinstance(event, e.CommandIssued) or event.direction == "do":
            continue
        chain = subject.chain(event.step)
        turned = [at for at, (place, keys) in enumerate(chain) if place.path + keys in state.turned]
        if not turned and "" not in state.turned:
            yield f"{event.step} is undone although nothing turned"
        for later in _siblings(chain[turned[-1] if turned else 0 :], before=False):
            if not quiet(state, *later):
                yield f"{event.step} is undone although {later[0].path}, which ran after it, is not settled"


def undone_steps(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """Undone is what succeeded or may have."""
    for state, event in _moments(before, decision):
        if not isinstance(event, e.CommandIssued) or event.direction == "do":
            continue
        step, place = state.nodes.get(event.step), subject.plan.locate(event.step)[0]
        phase = step.phase if isinstance(step, StepState) else "idle"
        due = "idle" if isinstance(place, p.UndoPlace) else "succeeded, unknown"
        if phase not in due:
            yield f"{event.step} is undone in phase {phase}"
        if isinstance(step, StepState) and event.round != step.round + 1:
            yield f"{event.step} is undone in round {event.round} after {step.round}"


def no_return(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """Nothing turns behind the point of no return, nor while a pivot is in flight; a pivot is never undone."""
    for state, event in _moments(before, decision):
        match event:
            case e.RollbackBegun(path=""):
                committed = [path for path, _step in _committing(subject, state)]
                if state.no_return or committed:
                    yield f"turns round at {state.no_return or committed}"
            case e.CommandIssued(direction="do"):
                place = subject.plan.locate(event.step)[0]
                if isinstance(place, p.StepPlace) and place.step.kind == "retriable" and not state.no_return:
                    yield f"{event.step} begins without passing the point of no return"
            case e.CommandIssued() | e.OutcomeUnknown():
                place = subject.plan.locate(event.step)[0]
                if isinstance(place, p.StepPlace) and not place.compensatable:
                    yield f"{event.step} is compensated or given up on suspicion"
            case _:
                pass


def _committing(subject: Subject, state: State) -> Iterator[tuple[str, StepState]]:
    """Yield pivots and retriable steps that were begun and may have happened."""
    for path, step in state.steps():
        place = subject.plan.locate(path)[0]
        begun = step.attempt > 0 and step.phase not in ("idle", "refused", "passed")
        if begun and isinstance(place, p.StepPlace) and not place.compensatable:
            yield path, step


def undo_persists(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """An undo ends by its confirmation or by a person's word, never by itself."""
    for path, step in before.steps():
        after = decision.state.nodes.get(path)
        left = isinstance(after, StepState) and step.phase in ("undoing", "undo-retrying", "undo-stuck")
        if (
            left
            and isinstance(after, StepState)
            and after.phase == "left"
            and not _has(decision, e.StepSkipped)
        ):
            yield f"the undo of {path} was given up"
    for path in decision.state.stuck:
        if path not in before.stuck and not _has(decision, e.StepStuck, e.NodeStuck):
            yield f"{path} is stuck without a fact"


def late_success(subject: Subject, before: State, decision: Decision, _after: State) -> Iterator[str]:
    """A late success is followed by an undo, or waits for one; one that came under an undo is undone once more."""
    for state, event in _moments(before, decision):
        if isinstance(event, e.ReplyRecorded | e.StepResolved) and event.direction == "undo":
            undone, after = state.nodes.get(event.step), decision.state.nodes.get(event.step)
            late = isinstance(undone, StepState) and undone.late
            if late and isinstance(after, StepState) and after.phase == "undone":
                yield f"the late success of {event.step} is not undone once more"
    for event in decision.events:
        late = isinstance(event, e.ReplyRecorded) and event.late and event.outcome != "refused"
        if not late or not isinstance(event, e.ReplyRecorded):
            continue
        step, place = decision.state.nodes[event.step], subject.plan.locate(event.step)[0]
        can = isinstance(place, p.StepPlace) and place.step.undo is not None
        waiting = isinstance(step, StepState) and (step.phase not in QUIET or step.late)
        if can and decision.state.final != "abandoned" and not waiting:
            yield f"the late success of {event.step} is forgotten"


def _has(decision: Decision, *kinds: type) -> bool:
    return any(isinstance(event, kinds) for event in decision.events)


def _moments(before: State, decision: Decision) -> Iterator[tuple[State, e.AnyEvent]]:
    """Yield each event with the state just before it."""
    state = before.fork()
    for event in decision.events:
        yield state, event
        apply(state, event)


def _siblings(chain: list[At], *, before: bool) -> Iterator[At]:
    """Yield what stands before, or after, the path in each sequence on the way down to it."""
    for (place, keys), (child, _child_keys) in itertools.pairwise(chain):
        if isinstance(place, p.SequencePlace):
            at = place.children.index(child)
            for sibling in place.children[:at] if before else place.children[at + 1 :]:
                yield sibling, keys


def duplicates(subject: Subject, state: State, world: World) -> Iterator[str]:
    """Deliver every reply again that was delivered before."""
    for call, yes in sorted(world.acted - world.replies - world.lost):
        reply = t.Reply(call.step, call.direction, call.round, 1, subject.answer(call.step, yes=yes))
        again = decide(subject.plan, state, reply, subject.now)
        if again.events:
            yield f"a second reply to {call.step}/{call.direction}/{call.round} gives {again.events}"


def cancel_refused(subject: Subject, state: State, _world: World) -> Iterator[str]:
    """Behind the point of no return a cancel is refused."""
    if not state.no_return or state.final or "" in state.turned:
        return
    try:
        decide(subject.plan, state, t.Cancel("somebody", "asks"), subject.now)
    except Rejected:
        return
    if state.cancel is None:
        yield "a cancel is taken behind the point of no return"


def waits_for_something(subject: Subject, state: State, _world: World) -> Iterator[str]:
    """Whatever is open waits for a timer, a person, or a signal that the saga says may never come."""
    if state.paused and state.outstanding():
        yield "would send while it is paused"
    if state.final or state.paused:
        return
    waits = [path for path, node in state.nodes.items() if isinstance(node, Wait) and node.how == "waiting"]
    if not (state.timers or waits or state.stuck):
        yield "waits for nothing at all"
    for path in waits:
        place = subject.plan.locate(path)[0]
        if isinstance(place, p.WaitPlace) and place.node.timeout is not None and path not in state.timers:
            yield f"{path} waits without its timer"
    for path, step in state.steps():
        if step.phase in ("doing", "retrying", "undoing", "undo-retrying") and path not in state.timers:
            yield f"{path} is {step.phase} without a timer"


def tolerated_is_clean(subject: Subject, state: State, world: World) -> Iterator[str]:
    """At `completed`: what was taken is there once, what was given up is gone."""
    if state.final != "completed":
        return
    for path, step in state.steps():
        place = subject.plan.locate(path)[0]
        if not isinstance(place, p.StepPlace) or path in state.unconfirmed:
            continue
        turned = any(at.path + keys in state.turned for at, keys in subject.chain(path))
        if turned and place.step.undo is not None:
            if step.phase not in QUIET:
                yield f"completed although {path} is {step.phase}"
            if subject.barrier and world.effect(path):
                yield f"completed, but the effect of {path} is still there"
        elif step.phase == "succeeded" and world.effect(path) != 1:
            yield f"completed, but the effect of {path} is there {world.effect(path)} times"


def compensated_is_clean(subject: Subject, state: State, world: World) -> Iterator[str]:
    """At `compensated`: every due undo confirmed or listed, and no effect left."""
    if state.final != "compensated":
        return
    nothing_comes = subject.barrier or not (world.replies or world.commands)
    for place, keys in begun_below(state, subject.plan.root, ""):
        path = place.path + keys
        step = state.nodes.get(path)
        if isinstance(place, p.UndoPlace):
            confirmed = any(said.call.step == path for said in world.acted)
            if not confirmed and path not in state.unconfirmed:
                yield f"compensated, but {path} was never undone"
        elif isinstance(place, p.StepPlace) and isinstance(step, StepState):
            if not quiet(state, place, keys) or (step.phase == "left" and path not in state.unconfirmed):
                yield f"compensated although {path} is {step.phase}"
            if (
                place.step.no_undo is None
                and path not in state.unconfirmed
                and nothing_comes
                and world.effect(path)
            ):
                yield f"compensated, but the effect of {path} is still there"


def start_again(subject: Subject, state: State, _world: World) -> Iterator[str]:
    """The same start changes nothing, another is a conflict."""
    if decide(subject.plan, state, t.Start(subject.data), subject.now).events:
        yield "a second start gives events"
    try:
        decide(subject.plan, state, t.Start(subject.data + b" "), subject.now)
    except Rejected:
        return
    yield "a start with other data is taken"


def stuck_is_known(subject: Subject, state: State, _world: World) -> Iterator[str]:
    """Status `stuck` and the steps' own phases say the same; nothing is stuck at an end."""
    stuck = {path for path, step in state.steps() if step.phase in ("stuck", "undo-stuck")}
    if state.final:
        if state.stuck:
            yield f"ended with {list(state.stuck)} stuck"
    elif not stuck <= set(state.stuck):
        yield f"{stuck} are stuck, {list(state.stuck)} are shown"


OF_TRANSITION: tuple[Invariant, ...] = (
    Invariant(1, "Commands sent are exactly those that the decision's events order.", persist_then_act),
    Invariant(2, "A command keeps its id and content; positions have no gaps.", stable_ids),
    Invariant(3, "A node starts when what precedes it has settled, and never once turned.", forward_order),
    Invariant(4, "An undo waits for exactly what ran after its step.", backward_order),
    Invariant(5, "Undone are exactly steps that succeeded or may have.", undone_steps),
    Invariant(7, "A late success is recorded and undone.", late_success),
    Invariant(8, "Nothing turns at or behind the point of no return.", no_return),
    Invariant(9, "An undo does not give up by itself.", undo_persists),
    Invariant(11, "The table of statuses is kept.", allowed),
    Invariant(12, "Stored facts, folded, give the state that was decided.", folded),
)
OF_STATE: tuple[Invariant, ...] = (
    Invariant(2, "A second reply to a command changes nothing.", duplicates),
    Invariant(
        6,
        "Completed only when what was tolerated is gone and what was taken is there once.",
        tolerated_is_clean,
    ),
    Invariant(8, "Behind the point of no return a cancel is refused.", cancel_refused),
    Invariant(9, "What is stuck is shown, and nothing is at an end.", stuck_is_known),
    Invariant(10, "Compensated only when every due undo was confirmed or is listed.", compensated_is_clean),
    Invariant(11, "Nothing waits without a timer, a person or a signal.", waits_for_something),
    Invariant(13, "Start is idempotent.", start_again),
)
ALL: tuple[Invariant, ...] = OF_TRANSITION + OF_STATE
