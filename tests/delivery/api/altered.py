"""The approval of `errands.py` once more: changed under the same version, and as a second version beside the first."""

from datetime import timedelta

from amends import Saga, sequence, wait_for
from amends.definition import Node
from tests.delivery.api.errands import APPROVAL, Errand, Word, finishing, plain

approved: Node[Errand] = wait_for("approve", Word, timeout=timedelta(days=30))
CHANGED = Saga("approval", version=1, data=Errand, body=sequence(plain, approved, finishing))
SECOND = Saga("approval", version=2, data=Errand, body=sequence(plain, approved, finishing))
BESIDE = (APPROVAL, SECOND)
