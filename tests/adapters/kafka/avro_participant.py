"""A service of the fulfilment example as a process of its own that speaks Avro: the kit, a ledger, no line of JSON.

python -m tests.adapters.kafka.avro_participant {inventory|payment|shipping} BROKER REGISTRY COMMANDS FILE
"""

import asyncio
import importlib
import signal
import sys
from pathlib import Path
from typing import Any

from amends.avro import AvroCodec, SchemaRegistry
from amends.participant import Database
from amends.participant.kafka import KafkaParticipant
from amends.participant.kafka_avro import AvroValues
from examples.running.process import Service, prepare
from examples.running.seed import load_seed

SEED = Path(__file__).parents[3] / "examples" / "fulfilment" / "seed.json"


async def main(name: str, server: str, registry: str, topic: str, file: str) -> None:
    module = importlib.import_module(f"examples.fulfilment.participants.{name}_service")
    service: Service[Any] = module.SERVICE
    seed = load_seed(SEED, service.seed)
    database = Database(path=Path(file), prepare=lambda connection: prepare(connection, service, seed))
    values = AvroValues(AvroCodec(SchemaRegistry(registry)))
    participant = KafkaParticipant(
        name=name,
        servers=[server],
        topic=topic,
        group=f"{topic}-service",
        handlers=service.handlers,
        database=database,
        values=values,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, participant.stop)
    await participant.run()
    await values.close()
    database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
