"""A bad road, made by the sender: seeded loss, and jitter that keeps the order as a queue does."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Road:
    """Loss in percent, jitter as the peak of the extra delay in milliseconds."""

    loss: float = 0.0
    jitter: float = 0.0

    def __str__(self):
        return f"{self.loss:g} % loss, {self.jitter:g} ms jitter"

    def travel(self, times_us, seed):
        """When each packet leaves, in microseconds; None is lost. A packet never overtakes another."""
        dice = random.Random(seed)
        last, left = 0, []
        for time in times_us:
            delay = dice.random() * self.jitter * 1000
            lost = dice.random() * 100 < self.loss
            last = max(last, int(time + delay))
            left.append(None if lost else last)
        return left


# What ./x quality plays: each loss without jitter, each jitter without loss, and one of both.
ROADS = [
    Road(), Road(loss=1), Road(loss=3), Road(loss=5), Road(loss=10),
    Road(jitter=20), Road(jitter=50), Road(jitter=100), Road(loss=3, jitter=50),
]
