"""Every transport through the one suite."""

import pytest

from amends.testing import transport_suite
from amends.testing.transport_suite import Case, Connect
from tests.adapters.connections import CONNECTIONS


@pytest.mark.parametrize("connect", CONNECTIONS.values(), ids=CONNECTIONS.keys())
@pytest.mark.parametrize("case", transport_suite.CASES, ids=transport_suite.name)
async def test_keeps_the_contract(case: Case, connect: Connect) -> None:
    await case(connect)


def test_no_case_is_left_out() -> None:
    cases = {
        value
        for name, value in vars(transport_suite).items()
        if getattr(value, "__module__", "") == transport_suite.__name__
        and hasattr(value, "__code__")
        and value.__code__.co_varnames[:1] == ("connect",)
    }
    assert cases == set(transport_suite.CASES)
