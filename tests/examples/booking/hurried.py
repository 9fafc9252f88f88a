"""The same saga with fewer attempts: the search must follow each of them, and a third is like the second."""

import copy
import dataclasses
from typing import Any

from amends import RetryPolicy, Saga
from amends.definition.nodes import EachNode, Node, OnRollback, SequenceNode, Step

TWICE = RetryPolicy(attempts=2)


def hurried(saga: Saga[Any]) -> Saga[Any]:
    """The saga, whose steps are tried twice, forward and back."""
    return dataclasses.replace(saga, body=_node(saga.body))


def _node(node: Node[Any]) -> Node[Any]:
    match node:
        case Step():
            step = copy.copy(node)
            # A step's own constructor has overloads, which a generic copy does not fit.
            object.__setattr__(step, "retry", TWICE)
            object.__setattr__(step, "undo_retry", TWICE)
            return step
        case OnRollback():
            return dataclasses.replace(node, undo_retry=TWICE)
        case SequenceNode():
            return dataclasses.replace(node, nodes=tuple(_node(child) for child in node.nodes))
        case EachNode():
            return dataclasses.replace(node, body=_node(node.body))
        case _:
            raise TypeError(f"the booking has no {type(node).__name__}")
