"""What a test expects to have gone out, held against what did.

Rules: the commands that are new and those that are expected are the same ones, no more and no less; payloads are
compared as JSON, whatever types made them. A step that waits to be tried again is waited for.
It does not: answer commands.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from amends.core.effect import SendCommand
from amends.definition import Command
from amends.testing import wording
from amends.testing.stage import Stage

__tracebackhide__ = True

RETRYING = ("retrying", "undo-retrying")


def claim(stage: Stage, wanted: Mapping[str, Command[Any] | None]) -> list[SendCommand]:
    """Return the commands that went out as `wanted`, by call; they are no longer new."""
    _wait_for_retry(stage, wanted)
    sent = {wording.name_of(command): command for command in stage.new}
    if sent.keys() != wanted.keys():
        stage.fail(_otherwise(stage, wanted, sent))
    for call, command in wanted.items():
        if command is not None:
            _compare(stage, call, command, sent[call])
    stage.new.clear()
    return [sent[call] for call in wanted]


def nothing_new(stage: Stage, before: str) -> None:
    """Fail if a command went out that nobody expected, before something else happens."""
    if stage.new:
        calls = "\n".join(_unexpected(command) for command in stage.new)
        stage.fail(f"{before}: a command went out that was not expected\n{calls}")


def why_not(stage: Stage, call: str) -> str:
    """Return why no command of `call` is new, as far as that can be said."""
    path, direction = wording.parse_call(call)
    step = stage.step(path)
    if any(wording.name_of(command) == call for command in stage.unanswered()):
        return f', which went out before; answer it with on("{call}")'
    if step is None or (direction == "undo" and not step.round):
        return ""
    word = f"{step.phase} ({step.code or step.reason})" if step.code or step.reason else step.phase
    return f": {path} is {word}"


def _wait_for_retry(stage: Stage, wanted: Iterable[str]) -> None:
    for call in wanted:
        path, _direction = wording.parse_call(call)
        step, due = stage.step(path), stage.state.timers.get(path)
        if step is not None and step.phase in RETRYING and due is not None and not stage.new:
            stage.advance_to(due)


def _otherwise(
    stage: Stage, wanted: Mapping[str, Command[Any] | None], sent: Mapping[str, SendCommand]
) -> str:
    went_out = ", ".join(sent) or "nothing"
    missing = [f"  missing     {call}{why_not(stage, call)}" for call in wanted if call not in sent]
    unexpected = [_unexpected(command) for call, command in sent.items() if call not in wanted]
    return "\n".join([f"expected {', '.join(wanted)}; {went_out} went out", *missing, *unexpected])


def _unexpected(command: SendCommand) -> str:
    return f"  unexpected  {wording.command_line(command)}"


def _compare(stage: Stage, call: str, expected: Command[Any], sent: SendCommand) -> None:
    payload = stage.plan.codec.encode(expected.payload)
    if expected.name == sent.name and wording.same_json(payload, sent.payload):
        return
    told = wording.difference(
        [expected.name, *wording.lines_of(payload)], [sent.name, *wording.lines_of(sent.payload)]
    )
    stage.fail(f"{call}: another command went out (- expected, + sent)\n{told}")
