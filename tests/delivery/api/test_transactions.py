"""`amends serve` runs what an application started in its own transaction, and counts what nobody can take."""

from pathlib import Path

import psycopg

from amends import start_in_transaction
from tests.adapters.postgres import shared_server
from tests.delivery.api import serving as s
from tests.delivery.api.errands import ERRAND, Errand


def test_the_service_runs_it_and_counts_what_is_parked(tmp_path: Path, desk: str) -> None:
    server, schema = shared_server.server(), shared_server.new_schema()
    lines = ["database:", f"  url: {server.address}?schema={schema}"]
    config = s.configuration(tmp_path, desk=desk, lines=lines)
    with s.serving(tmp_path, config=config, store=None) as running, psycopg.connect(server.address) as shop:
        start_in_transaction(shop, ERRAND, Errand(name="left"), saga_id="left", schema=schema)
        shop.rollback()
        start_in_transaction(shop, ERRAND, Errand(name="tea"), saga_id="tea", schema=schema)
        start_in_transaction(shop, ERRAND, Errand(name="milk"), saga_id="tea", schema=schema)
        shop.commit()
        s.until(lambda: status_of(running, "tea") == "completed", "the errand's end")
        s.until(lambda: "amends_inbox_parked_total 1\n" in metrics(running), "the other one to be parked")
        assert running.ask("GET", "/v1/sagas/left").status == 404
        assert "is parked: saga 'tea' was started with other data" in running.log.read_text()


def status_of(running: s.Serving, saga_id: str) -> object:
    answer = running.ask("GET", f"/v1/sagas/{saga_id}")
    return answer.json["status"] if answer.status == 200 else None


def metrics(running: s.Serving) -> str:
    return running.ask("GET", "/metrics").body.decode()
