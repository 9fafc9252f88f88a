"""What a person does to a saga: `signal`, `cancel`, `pause`, `resume`, `retry`, `resolve`, `skip`, `abandon`.

Rules: every act but a signal carries who and why. With `--if-position` it happens only if nothing has happened since.
It does not: know when an act is allowed (the core does).
"""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec
import typer

from amends.delivery.cli.arguments import (
    By,
    IfPosition,
    Json,
    Reason,
    SagaId,
    StepPath,
    json_argument,
    person,
)
from amends.delivery.cli.faults import Unusable
from amends.delivery.cli.output import print_json
from amends.delivery.cli.where import at_desk
from amends.delivery.client.desk import Act, Desk
from amends.delivery.client.exact_json import Document


def _do(desk: Desk, act: Act, saga_id: str, body: Document, position: int | None, *, json: bool) -> int:
    saga = desk.act(act, saga_id, body, expected=position)
    if json:
        print_json(saga)
        return 0
    from amends.delivery.cli.saga_text import line

    print(f"{line(saga)}  position {saga['position']}")
    return 0


def _on_saga(act: Act, told: str) -> Callable[..., int]:
    def verb(
        desk: Desk,
        saga_id: SagaId,
        reason: Reason,
        by: By = None,
        if_position: IfPosition = None,
        json: Json = False,
    ) -> int:
        body: Document = {"by": person(by), "reason": reason}
        return _do(desk, act, saga_id, body, if_position, json=json)

    verb.__name__, verb.__doc__ = act, told
    return at_desk(verb)


def _on_step(act: Act, told: str) -> Callable[..., int]:
    def verb(
        desk: Desk,
        saga_id: SagaId,
        step: StepPath,
        reason: Reason,
        by: By = None,
        if_position: IfPosition = None,
        json: Json = False,
    ) -> int:
        body: Document = {"step": step, "by": person(by), "reason": reason}
        return _do(desk, act, saga_id, body, if_position, json=json)

    verb.__name__, verb.__doc__ = act, told
    return at_desk(verb)


cancel: Final = _on_saga("cancel", "Turn a saga round; refused behind its point of no return.")
pause: Final = _on_saga("pause", "Begin nothing new in a saga; answers are still taken.")
resume: Final = _on_saga("resume", "Go on after a pause.")
abandon: Final = _on_saga("abandon", "Give a saga up; what nobody knows is listed as unconfirmed.")
retry: Final = _on_step("retry", "Try a stuck step again.")
skip: Final = _on_step("skip", "Go on without a stuck step; it stays unconfirmed.")


@at_desk
def resolve(
    desk: Desk,
    saga_id: SagaId,
    step: StepPath,
    reason: Reason,
    reply: Annotated[
        str | None,
        typer.Option("--reply", metavar="JSON", help="It succeeded, with this reply: JSON, @FILE or -."),
    ] = None,
    refused: Annotated[
        str | None, typer.Option("--refused", metavar="CODE", help="It was refused, with this code.")
    ] = None,
    by: By = None,
    if_position: IfPosition = None,
    json: Json = False,
) -> int:
    """Settle a stuck step as its participant would have answered."""
    if (reply is None) == (refused is None):
        raise Unusable("what did the participant do? give one of --reply JSON and --refused CODE")
    body: Document = {"step": step, "by": person(by), "reason": reason}
    if reply is not None:
        body["reply"] = msgspec.Raw(json_argument(reply, "--reply"))
    elif refused:
        body["refused"] = refused
    else:
        raise Unusable("--refused is empty; give the code with which it was refused")
    return _do(desk, "resolve", saga_id, body, if_position, json=json)


@at_desk
def signal(
    desk: Desk,
    saga_id: SagaId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The signal.")],
    content: Annotated[
        str, typer.Option("--content", metavar="JSON", help="What it says: JSON, @FILE or -.")
    ] = "null",
    signal_id: Annotated[
        str, typer.Option("--signal-id", metavar="ID", help="The same signal id counts once.")
    ] = "",
    if_position: IfPosition = None,
    json: Json = False,
) -> int:
    """Tell a saga that something it waits for happened."""
    body: Document = {"signal": name, "content": msgspec.Raw(json_argument(content, "--content"))}
    if signal_id:
        body["signal_id"] = signal_id
    return _do(desk, "signal", saga_id, body, if_position, json=json)
