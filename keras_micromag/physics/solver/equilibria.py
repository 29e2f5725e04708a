"""The equilibria of magnets, collected as each magnet reaches them."""

import numpy as np
from keras import ops

from keras_micromag.physics.solver import field_steps, step_control
from keras_micromag.utils import memory
from keras_micromag.utils.indices import ranges

_PART = 2**22
"""Components of moments that are written at once."""


class ConvergenceError(RuntimeError):
    """A field step found no equilibrium within `max_iterations`."""


class Loops:
    """The equilibria that b magnets have reached.

    Attributes:
        field: (t,) in tesla.
        moments: (b, t, g, 3); NaN where a magnet has not been yet.
        converged: (b, t). iterations: (b, t) products, 0 where a magnet strode over the field.
        reached: (b,) how many fields each magnet has behind it.

    Raises:
        MemoryError: where they do not fit into memory.
    """

    def __init__(self, magnets: int, field, grains: int, dtype: str):
        self.field = field
        self.require_room(magnets, len(field), grains, dtype)
        self.moments = np.full((magnets, len(field), grains, 3), np.nan, dtype)
        self.converged = np.zeros((magnets, len(field)), bool)
        self.iterations = np.zeros((magnets, len(field)), int)
        self.reached = np.zeros(magnets, int)

    @staticmethod
    def require_room(magnets: int, fields: int, grains: int, dtype: str) -> None:
        """Raise where the states do not fit.

        Raises:
            MemoryError: naming the size and what would fit.
        """
        # The result, and the records of one call: three vectors, on the device and here.
        numbers = 3 * magnets * grains * (fields + 6 * field_steps.ITERATIONS)
        memory.require(
            numbers * np.dtype(dtype).itemsize,
            f"the states of {magnets} magnets with {grains} grains at {fields} fields",
            "fewer fields do, or fewer magnets at a time",
        )

    @property
    def done(self) -> int:
        """Number of field steps behind all magnets."""
        return int(self.reached.sum())

    @property
    def complete(self) -> bool:
        """Whether all magnets are at their last field."""
        return self.done == self.converged.size

    @property
    def products(self) -> int:
        """Number of products that these steps took, over all magnets."""
        return int(self.iterations.sum())

    @property
    def field_behind(self) -> float:
        """Field in tesla of the magnet that is furthest behind."""
        return float(self.field[self.reached.min(initial=len(self.field) - 1)])

    def collect(self, records):
        """Add the equilibria of one call of the solver, and the states between them."""
        records = field_steps.Record(*(ops.convert_to_numpy(part) for part in records))
        there = slice(self.moments.shape[2])
        for name in ("moments", "slope", "bend"):
            records = records._replace(**{name: getattr(records, name)[..., there]})
        when, magnet = np.nonzero(records.target >= 0)
        target, origin = records.target[when, magnet], records.origin[when, magnet]
        self.iterations[magnet, target] = records.products[when, magnet]
        # One row per field that a record covers: the fields it strode over and its own.
        row, step = ranges(origin + 1, target + 1)
        self.converged[magnet[row], step] = records.converged[when, magnet][row]
        # In parts, so that large magnets and batches need no copies of their size.
        numbers = len(row) * self.moments[0, 0].size
        for part in np.array_split(np.arange(len(row)), 1 + numbers // _PART):
            which = row[part]
            self.moments[magnet[which], step[part]] = self._between(
                records, (when[which], magnet[which]), step[part], target[which], origin[which]
            )
        np.maximum.at(self.reached, magnet, target + 1)

    def since(self, reached) -> dict:
        """Return what was collected since the magnets had `reached` (b,) fields, for `restore`."""
        steps = ranges(reached, self.reached)
        return {
            "reached": self.reached,
            "moments": self.moments[steps],
            "converged": self.converged[steps],
            "iterations": self.iterations[steps],
        }

    def restore(self, reached, moments, converged, iterations):
        """Add what `since` returned.

        Raises:
            ValueError: where that does not continue what is there.
        """
        steps = ranges(self.reached, reached)
        for own, added in (
            (self.moments, moments),
            (self.converged, converged),
            (self.iterations, iterations),
        ):
            if added.shape != (len(steps[0]), *own.shape[2:]):
                raise ValueError("not those of these loops")
        self.moments[steps] = moments
        self.converged[steps] = converged
        self.iterations[steps] = iterations
        self.reached = reached

    def _between(self, records, which, step, target, origin):
        """Return (n, g, 3) moments at the fields `step`: of equilibria, or interpolated to one."""
        back = (self.field[step] - self.field[target])[:, None, None]
        before = (self.field[step] - self.field[np.maximum(origin, 0)])[:, None, None]
        equilibrium = (records.moments[which], records.slope[which], records.bend[which])
        moments = step_control.interpolate(*equilibrium, back, before)
        strode = step != target
        moments[strode] /= np.linalg.norm(moments[strode], axis=1, keepdims=True)
        return np.swapaxes(moments, 1, 2)

    def give_up_unconverged(self) -> np.ndarray:
        """Drop the states from the first field on at which a magnet found no equilibrium.

        Returns:
            (b,) whether that happened to each magnet.
        """
        failed = self._unconverged
        for magnet in np.flatnonzero(failed.any(axis=1)):
            first = failed[magnet].argmax()
            self.moments[magnet, first:] = np.nan
            self.converged[magnet, first:] = False
            self.reached[magnet] = len(self.field)
        return failed.any(axis=1)

    @property
    def _unconverged(self):
        return (self.iterations > 0) & ~self.converged

    def refuse_unconverged(self, max_iterations: int):
        """Raise where a field step found no equilibrium.

        Raises:
            ConvergenceError: naming the first such step.
        """
        bad = self._unconverged
        if bad.any():
            magnet, step = np.argwhere(bad)[0]
            raise ConvergenceError(
                f"field step {step} ({self.field[step]:g} T) of magnet {magnet} found no "
                f"equilibrium within `max_iterations` = {max_iterations}."
            )
