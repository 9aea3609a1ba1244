"""A training that fits a number of minutes: when it ends, in how many epochs, and how its learning rate falls."""

import math
from dataclasses import dataclass

from cnn_core.train.config import LoopConfig


@dataclass(frozen=True)
class TimeBudget:
    """The time and the epochs that a training may take.

    Args:
        seconds: of epochs with their validation; 0: no limit.
        epochs: at most.
    """

    seconds: float
    epochs: int

    @classmethod
    def of(cls, loop: LoopConfig) -> "TimeBudget":
        """Return that of the settings."""
        return cls(60 * loop.minutes, loop.epochs)

    def end(self, elapsed: float, done: int) -> float:
        """Return the seconds at which it will end: with the whole epoch whose end is nearest to the limit."""
        if not done or not elapsed:
            return self.seconds
        mean = elapsed / done
        return elapsed + mean * max(1, round((self.seconds - elapsed) / mean))

    def is_over(self, before: float, elapsed: float, done: int) -> bool:
        """Tell whether another epoch would end further from the limit than the one whose steps have just been done.

        Args:
            before: seconds at the beginning of that epoch.
            elapsed: seconds now, before its validation.
            done: epochs, this one included.
        """
        mean = before / (done - 1) if done > 1 and before else elapsed - before
        return self.seconds > 0 and max(elapsed, before + mean) + mean / 2 >= self.seconds

    def expected_epochs(self, elapsed: float, done: float) -> int:
        """Return how many epochs there will be, as far as `done` of them tell how long one takes."""
        if not self.seconds or not elapsed:
            return self.epochs
        return min(self.epochs, max(math.ceil(done), round(self.seconds * done / elapsed)))
