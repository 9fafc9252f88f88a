"""What a lossy way does to messages: a seeded fate for each, and a way that carries it out.

    way = LossyWay(Weather(seed=7)); way.put("o-1/pay/do/1#2", "o-1", deliver); way.ended("o-1"); await way.idle()

Rules
- A fate follows from the seed, the message's name and how often that name came, and not from the order in which things
  happen: a seed repeats who loses what.
- Of all messages 10 % are lost and 5 % are held until after their saga has ended. Of what arrives 30 % arrives twice,
  and of the copies 30 % are kept for a while, so that what was sent later overtakes them; some beyond the next attempt.
It does not: look into messages, or know a transport.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

Deliver: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one message."""

    pauses: tuple[float, ...] = ()
    """Seconds before each copy arrives; none: the message is lost."""
    is_late: bool = False
    """It arrives only after its saga has ended."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How bad the way is: shares of all messages, and how many seconds one may be kept."""

    seed: int
    lost: float = 0.10
    late: float = 0.05
    twice: float = 0.30
    overtaken: float = 0.30
    longest: float = 3.0

    def fate(self, name: str) -> Fate:
        """Return what becomes of the message `name`."""
        draw = random.Random(f"{self.seed}/{name}")
        first = draw.random()
        if first < self.lost:
            return Fate()
        copies = 2 if draw.random() < self.twice else 1
        # Most are overtaken by a neighbour only, a few by the next attempt.
        pauses = [
            self.longest * draw.random() ** 3 if draw.random() < self.overtaken else 0.0
            for _ in range(copies)
        ]
        return Fate(pauses=tuple(pauses), is_late=first < self.lost + self.late)


@dataclass
class LossyWay:
    """One direction of a lossy way."""

    weather: Weather
    met: Counter[str] = field(default_factory=Counter[str])
    """How many messages were `sent`, `lost`, `late`, `twice`, `overtaken`, and `delivered`, copies included."""
    errors: list[BaseException] = field(default_factory=list[BaseException])
    """Of copies that could not be delivered."""
    _came: Counter[str] = field(default_factory=Counter[str])
    _ended: set[str] = field(default_factory=set[str])
    _held: dict[str, list[Deliver]] = field(default_factory=dict[str, list[Deliver]])
    _going: "set[asyncio.Task[None]]" = field(default_factory=set["asyncio.Task[None]"])

    def put(self, name: str, saga_id: str, deliver: Deliver) -> None:
        """Do with a message what its fate says; `deliver` brings one copy to where it was going."""
        self._came[name] += 1
        fate = self.weather.fate(f"{name}/{self._came[name]}")
        self.met["sent"] += 1
        if not fate.pauses:
            self.met["lost"] += 1
            return
        self.met["twice"] += len(fate.pauses) > 1
        self.met["overtaken"] += any(fate.pauses)
        if fate.is_late:
            self.met["late"] += 1
            if saga_id not in self._ended:
                self._held.setdefault(saga_id, []).extend([deliver] * len(fate.pauses))
                return
        for pause in fate.pauses:
            self._send(deliver, pause)

    def ended(self, saga_id: str) -> None:
        """Let go of what was held until this saga's end."""
        self._ended.add(saga_id)
        for deliver in self._held.pop(saga_id, ()):
            self._send(deliver, 0.0)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._going and not self._held

    async def idle(self) -> None:
        """Wait until nothing is on its way; what is held for a saga that has not ended counts."""
        while self._going:
            await asyncio.wait(self._going)

    async def stop(self) -> None:
        """Let go of what is on its way."""
        going = [*self._going]
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    def _send(self, deliver: Deliver, pause: float) -> None:
        self.met["delivered"] += 1
        task = asyncio.create_task(_after(pause, deliver))
        self._going.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._going.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)


async def _after(seconds: float, deliver: Deliver) -> None:
    if seconds:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, over.set)
        await over.wait()
    await deliver()
