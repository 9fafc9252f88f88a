"""What the pages say of the API is what there is: routes, codes, parameters, metrics, options."""

import re

from amends.delivery.api.exposition import METRICS
from amends.delivery.api.problem import CODES
from amends.delivery.api.routes import LIST, table
from tests.delivery.api.serving import ROOT

REST = (ROOT / "docs/rest.md").read_text()
OPERATING = (ROOT / "docs/operating.md").read_text()


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_every_route_is_on_the_page_and_no_other() -> None:
    documented = re.findall(r"^\| `([A-Z]+ /\S*)` \|", section(REST, "Routes"), re.MULTILINE)
    assert sorted(documented) == sorted(f"{route.method} {route.path}" for route in table(longest_wait=60))


def test_every_code_is_on_the_page_with_its_status() -> None:
    documented = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", section(REST, "Errors"), re.MULTILINE)
    assert {code: int(status) for code, status in documented} == {
        code: status for code, (status, _) in CODES.items()
    }
    assert len(documented) == len(CODES)


def test_every_parameter_of_the_list_is_on_the_page() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \|", section(REST, "Lists"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(LIST)


def test_every_header_of_a_route_is_on_the_page() -> None:
    for route in table(longest_wait=60):
        for header in route.headers:
            assert f"`{header}" in REST, header


def test_every_metric_is_on_the_page_and_no_other() -> None:
    documented = re.findall(r"^\| `(amends_\w+)` \|", section(OPERATING, "Metrics"), re.MULTILINE)
    assert sorted(documented) == sorted(METRICS)
