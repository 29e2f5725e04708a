"""What happened along a loop: which grain flipped where, and in which avalanche."""

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Events:
    """The flips of all grains of one magnet, or of b magnets, in their order.

    Attributes:
        magnet: (n,) whose grain flipped; rises.
        grain: (n,) which.
        field: (n,) µ0·H in tesla at which its avalanche began: the field at which the grain that
            began it lost its equilibrium.
        avalanche: (n,) number of the avalanche in its magnet, from 0 on.
        step: (n,) index of the first of the loop's fields that is not before it; t where none is.
        moment: (n, 2) component of the magnet's mean moment along the field, over its saturation
            value, before and after that avalanche.
        crossing: (b,) field in tesla at which that component first is 0; nan if it never is. The
            magnet of a loop without the axis b is the first.
    """

    magnet: np.ndarray
    grain: np.ndarray
    field: np.ndarray
    avalanche: np.ndarray
    step: np.ndarray
    moment: np.ndarray
    crossing: np.ndarray

    @classmethod
    def none(cls) -> "Events":
        """Those of no magnet at all."""
        count, value = np.zeros(0, int), np.zeros(0)
        return cls(count, count, value, count, count, np.zeros((0, 2)), value)

    def __len__(self) -> int:
        return len(self.magnet)

    @property
    def sizes(self) -> np.ndarray:
        """(m,) flips in each avalanche, magnet by magnet in their order.

        A grain that flips and flips back in one counts twice.
        """
        first = np.ones(len(self), bool)
        first[1:] = (np.diff(self.magnet) != 0) | (np.diff(self.avalanche) != 0)
        return np.diff(np.flatnonzero(first), append=len(self))

    def of(self, magnets) -> "Events":
        """Those of some magnets, by an index, a slice or an array of indices; numbered anew."""
        chosen = np.arange(len(self.crossing))[magnets]
        rows = [np.flatnonzero(self.magnet == magnet) for magnet in np.atleast_1d(chosen)]
        which = np.concatenate([*rows, np.zeros(0, int)]).astype(int)
        own = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "crossing"}
        magnet = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        crossing = np.atleast_1d(self.crossing[chosen])
        return replace(self, **(own | {"magnet": magnet, "crossing": crossing}))

    def first_fields(self, grains: int) -> np.ndarray:
        """(b, grains) field of each grain's first flip; nan if it never flips."""
        return self._first(self.field, np.full((len(self.crossing), grains), np.nan))

    def first_avalanches(self, grains: int) -> np.ndarray:
        """(b, grains) avalanche of each grain's first flip; -1 if it never flips."""
        return self._first(self.avalanche, np.full((len(self.crossing), grains), -1))

    def _first(self, values, found):
        # Backwards, so that the first is what stays.
        found[self.magnet[::-1], self.grain[::-1]] = values[::-1]
        return found
