"""The states of magnets along a sequence of fields, and their figures of merit."""

import os
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import numpy as np

from keras_micromag.physics.microstructure.material import MU0
from keras_micromag.physics.trust import Trust
from keras_micromag.utils import checks
from keras_micromag.utils.backend import namespace
from keras_micromag.utils.files import UNREADABLE, atomic_open, read_arrays

_EVENTS = "events."
"""Prefix of the names of the events in a file."""

_TRUST = "trust."
"""The same of the error of the coercivity."""

_TESLA = {"units": "T"}


@dataclass(frozen=True, eq=False)
class Events:
    """The flips of all grains of one magnet, or of b magnets, in their order.

    Attributes:
        magnet: (n,) number of the magnet, which never falls from a flip to the next.
        grain: (n,) number of the grain that flips.
        field: (n,) µ0·H in tesla at which the avalanche of the flip begins, because its first
            grain loses its equilibrium.
        avalanche: (n,) number of the avalanche in its magnet, from 0 on.
        step: (n,) index of the first of the loop's fields at or after `field`; t if none is.
        moment: (n, 2) component of the magnet's mean moment along the field, over its saturation
            value, before and after the avalanche.
        crossing: (b,) field in tesla at which this component first is 0; nan if it never is. A
            loop without the axis b is that of magnet 0.
    """

    magnet: np.ndarray
    grain: np.ndarray
    field: np.ndarray
    avalanche: np.ndarray
    step: np.ndarray
    moment: np.ndarray
    crossing: np.ndarray

    def __post_init__(self):
        n = np.size(self.magnet)
        for name in (f.name for f in fields(self)):
            array = checks.numbers(getattr(self, name), f"events.{name}", None)
            shape = {"moment": (n, 2), "crossing": (np.size(array),)}.get(name, (n,))
            integral = name in ("magnet", "grain", "avalanche", "step")
            if array.shape != shape or (integral and array.dtype.kind not in "iu"):
                kind = "whole numbers" if integral else "numbers"
                raise ValueError(
                    f"`events.{name}` must hold {kind} of shape {shape}; "
                    f"received {array.dtype.name} {array.shape}."
                )
            object.__setattr__(self, name, array)

    @classmethod
    def none(cls) -> "Events":
        """Return the events of no magnet."""
        count, value = np.zeros(0, int), np.zeros(0)
        return cls(count, count, value, count, count, np.zeros((0, 2)), value)

    def __len__(self) -> int:
        return len(self.magnet)

    @property
    def sizes(self) -> np.ndarray:
        """Number of flips in each of m avalanches, (m,), magnet by magnet in their order.

        A grain that flips and flips back in one counts twice.
        """
        first = np.ones(len(self), bool)
        first[1:] = (np.diff(self.magnet) != 0) | (np.diff(self.avalanche) != 0)
        return np.diff(np.flatnonzero(first), append=len(self))

    def of(self, magnets: int | slice | Sequence[int] | np.ndarray) -> "Events":
        """Return the events of some magnets, which are then numbered from 0 on."""
        chosen = np.arange(len(self.crossing))[magnets]
        rows = [np.flatnonzero(self.magnet == magnet) for magnet in np.atleast_1d(chosen)]
        which = np.concatenate([*rows, np.zeros(0, int)]).astype(int)
        own = {f.name: getattr(self, f.name)[which] for f in fields(self) if f.name != "crossing"}
        magnet = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        crossing = np.atleast_1d(self.crossing[chosen])
        return replace(self, **(own | {"magnet": magnet, "crossing": crossing}))

    def first_fields(self, grains: int) -> np.ndarray:
        """Return (b, grains) the field of each grain's first flip; nan if it never flips."""
        return self._first(self.field, np.full((len(self.crossing), grains), np.nan))

    def first_avalanches(self, grains: int) -> np.ndarray:
        """Return (b, grains) the avalanche of each grain's first flip; -1 if it never flips."""
        return self._first(self.avalanche, np.full((len(self.crossing), grains), -1))

    def _first(self, values, result):
        # Backwards, so that the first flip is written last.
        result[self.magnet[::-1], self.grain[::-1]] = values[::-1]
        return result


@dataclass(frozen=True, eq=False)
class Hysteresis:
    """The states of one magnet, or of b magnets, along a sequence of fields.

    `loops[i]`, `loops[i:j]` and `loops[[i, j]]` select magnets of a batch, never fields.

    The figures of merit are those of the first branch, in the direction of the first moment along
    the field. So a loop from -8 to +8 T has the same as its mirror image from +8 to -8 T.

    Attributes:
        field: (t,) µ0·H along `field_direction` in tesla.
        magnetization: (t, g, 3) or (b, t, g, 3) unit moments.
        easy_axes: (g, 3) or (b, g, 3).
        converged: (t,) or (b, t) whether the state is an equilibrium.
        iterations: (t,) or (b, t) products with the demagnetising matrix that the state took; 0
            where it lies between two equilibria that are close enough to interpolate.
        polarization: (g,) saturation polarisation Js of each grain in tesla; (b, g) where the
            magnets differ.
        volumes: (g,) in m³; (b, g) where the magnets differ, 0 where one has no such grain.
        packing_fraction: the magnetic share of the body's volume; (b,) where the magnets differ.
        field_direction: (3,) unit vector.
        events: flips and the fields of their avalanches, of loops by events; else None.
        trust: how far the coercivity can be trusted; None of loops that `simulate` did not return.

    Raises:
        ValueError: when the arrays differ in the number of magnets, fields or grains.
    """

    field: np.ndarray
    magnetization: np.ndarray
    easy_axes: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    polarization: np.ndarray
    volumes: np.ndarray
    packing_fraction: float | np.ndarray
    field_direction: np.ndarray
    events: Events | None = None
    trust: Trust | None = None

    def __post_init__(self):
        for name in _arrays(Hysteresis):
            array = checks.numbers(getattr(self, name), name, None)
            if name == "magnetization":  # whose unconverged states are nan
                extremes = [f.reduce(array, axis=None, initial=0) for f in (np.fmin, np.fmax)]
                checks.finite(np.array(extremes, float), name)
            else:
                checks.finite(array, name)
            scalar = name == "packing_fraction" and not array.ndim
            object.__setattr__(self, name, float(array) if scalar else array)
        shape = self.magnetization.shape
        if len(shape) not in (3, 4) or shape[-1] != 3:
            raise ValueError(
                f"`magnetization` must have shape (t, g, 3) or (b, t, g, 3); received {shape}."
            )
        *batch, t, g, _ = shape
        per_grain = ((g,), (*batch, g))
        for name, allowed in {
            "field": ((t,),),
            "easy_axes": ((*batch, g, 3),),
            "converged": ((*batch, t),),
            "iterations": ((*batch, t),),
            "polarization": per_grain,
            "volumes": per_grain,
            "packing_fraction": ((), (*batch,)),
            "field_direction": ((3,),),
        }.items():
            received = np.shape(getattr(self, name))
            if received not in allowed:
                expected = " or ".join(map(str, dict.fromkeys(allowed)))
                raise ValueError(
                    f"`{name}` must have shape {expected}, since that of `magnetization` is "
                    f"{shape}; received {received}."
                )
        if not (np.sum(self.polarization * self.volumes, axis=-1) > 0).all():
            raise ValueError(
                "`polarization` and `volumes` must be positive for a grain of each magnet."
            )
        if self.events is not None:
            self._require_events_of(batch[0] if batch else 1, t, g)
        if self.trust is not None and (
            checks.instance(self.trust, "trust", Trust).error.shape != tuple(batch)
        ):
            raise ValueError(
                f"`trust` must have shape {tuple(batch)}; received {self.trust.error.shape}."
            )

    def _require_events_of(self, b, t, g):
        """Raise where `events` names a magnet, a step or a grain that there is not."""
        events = checks.instance(self.events, "events", Events)
        for name, end in {"magnet": b, "grain": g, "step": t + 1}.items():
            numbers = getattr(events, name)
            if ((numbers < 0) | (numbers >= end)).any():
                raise ValueError(f"`events.{name}` must be at least 0 and below {end}.")
        if len(events.crossing) != b:
            raise ValueError(
                f"`events.crossing` must have shape ({b},); received {events.crossing.shape}."
            )

    def __getitem__(self, magnets: int | slice | Sequence[int] | np.ndarray) -> "Hysteresis":
        """Return the loops of some magnets of a batch.

        Args:
            magnets: an index, a slice, (n,) indices or (b,) booleans.

        Raises:
            ValueError: for the loop of a single magnet, or more than one index.
            IndexError: when there is no such magnet.
        """
        shape = self.magnetization.shape
        if len(shape) == 3:
            raise ValueError(
                "Loops must have `magnetization` (b, t, g, 3) to be indexed, which selects magnets "
                f"of a batch; received one magnet, {shape}."
            )
        if isinstance(magnets, tuple) or np.ndim(np.arange(shape[0])[magnets]) > 1:
            raise ValueError(
                "Loops must be indexed by magnets alone, as loops[i], loops[i:j] or loops[[i, j]]; "
                f"received {checks.shown(magnets)}."
            )
        chosen = {
            name: getattr(self, name)[magnets]
            for name in ("magnetization", "easy_axes", "converged", "iterations")
        }
        for name, own_axes in (("polarization", 1), ("volumes", 1), ("packing_fraction", 0)):
            if np.ndim(getattr(self, name)) > own_axes:
                chosen[name] = getattr(self, name)[magnets]
        if self.events is not None:
            chosen["events"] = self.events.of(magnets)
        if self.trust is not None:
            chosen["trust"] = self.trust[magnets]
        return replace(self, **chosen)

    @property
    def mean_magnetization(self) -> np.ndarray:
        """Moment of the magnet over its saturation value, (..., t, 3)."""
        share = self.polarization * self.volumes
        share = share / share.sum(axis=-1, keepdims=True)
        return np.einsum("...tgi,...g->...ti", self.magnetization.astype(float), share)

    @property
    def magnetization_along_field(self) -> np.ndarray:
        """Component of `mean_magnetization` along the field direction, (..., t)."""
        return self.mean_magnetization @ self.field_direction

    @property
    def switching_fields(self) -> np.ndarray:
        """Field at which each grain first left its branch, (..., g); nan if never.

        The field at which its avalanche began, where there are `events`, else that of the step.
        """
        if self.events is not None:
            fields_ = self.events.first_fields(self.magnetization.shape[-2])
            return fields_.reshape(self.easy_axes.shape[:-1])
        side = np.einsum("...tgi,...gi->...tg", self.magnetization, self.easy_axes) >= 0
        changed = np.diff(side, axis=-2, prepend=side[..., :1, :])
        first = self.field[changed.argmax(axis=-2)]
        return np.where(changed.any(axis=-2), first, np.nan)

    def coercivity(self) -> float | np.ndarray:
        """Return the field in tesla that cancels the mean moment along the field, (...).

        Exact for loops by events, else between field steps by linear interpolation.
        """
        moment = self.magnetization_along_field
        if self.events is not None:
            return -self.events.crossing.reshape(moment.shape[:-1])[()] * np.sign(moment[..., 0])
        return coercivity(self.field, moment)

    def remanence(self) -> float | np.ndarray:
        """Return the polarisation of the body along the field at zero field in tesla, (...).

        Read by linear interpolation where the field first passes zero; nan where it never does.
        """
        moment = self._direction[..., None] * self.magnetization_along_field
        return self._saturation * _first_crossing(np.broadcast_to(self.field, moment.shape), moment)

    def energy_product(self, demagnetizing_factor: float = 0.0) -> float | np.ndarray:
        """Return the maximum energy product (BH)max of the body in J/m³, (...).

        The largest -B·H in the second quadrant, with B = µ0·H + J, J including the packing
        fraction. Between field steps B and H are linear, and the maximum of their product is taken
        exactly. nan where the loop never enters the second quadrant.

        Args:
            demagnetizing_factor: N of the sample's shape along the field, when `field` is the
                field applied to it; the field inside is then µ0·H - N·J. 0 for a closed circuit.

        Raises:
            ValueError: when the factor is outside 0 to 1.
        """
        factor = checks.number(demagnetizing_factor, "demagnetizing_factor", least=0)
        if factor > 1:
            raise ValueError(f"`demagnetizing_factor` must be at most 1; received {factor:g}.")
        direction = self._direction[..., None]
        polarization = self._saturation[..., None] * direction * self.magnetization_along_field
        field = direction * self.field - factor * polarization
        induction = field + polarization
        largest = np.max(_largest_product(induction, -field), axis=-1, initial=0.0) / MU0
        return np.where(largest > 0, largest, np.nan)[()]

    @property
    def _direction(self):
        """Return (...) -1 where the first moment points against the field direction, else 1."""
        return np.where(self.magnetization_along_field[..., 0] < 0, -1.0, 1.0)

    @property
    def _saturation(self):
        mean = (self.polarization * self.volumes).sum(axis=-1) / self.volumes.sum(axis=-1)
        return np.asarray(mean * self.packing_fraction)

    def save(self, path: str | os.PathLike) -> None:
        """Write everything to a `.npz` file without pickle; a failure leaves no file behind."""
        with atomic_open(path, "wb") as file:
            own = {name: getattr(self, name) for name in _arrays(Hysteresis)}
            for prefix, part in ((_EVENTS, self.events), (_TRUST, self.trust)):
                if part is not None:
                    own |= {prefix + name: getattr(part, name) for name in _arrays(type(part))}
            np.savez_compressed(file, **own)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Hysteresis":
        """Read a file that `save` wrote.

        Raises:
            ValueError: when the file is not such a file, or its arrays do not fit together.
        """
        try:
            stored = read_arrays(path)
            values: dict[str, Any] = {name: stored[name] for name in _arrays(cls)}
            for prefix, part in ((_EVENTS, Events), (_TRUST, Trust)):
                if any(name.startswith(prefix) for name in stored):
                    own = {name: stored[prefix + name] for name in _arrays(part)}
                    values[prefix.removesuffix(".")] = part(**own)
            # Signalling NaNs, of which NumPy warns at each use, become quiet ones.
            with np.errstate(invalid="ignore"):
                values["magnetization"] *= 1
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise ValueError(
                f"`path` must be a file that Hysteresis.save wrote; received {str(path)!r}."
            ) from error
        return cls(**values)

    def to_xarray(self):
        """Return an `xarray.Dataset` with named axes; needs xarray.

        The arrays of `events` are named as in a file: "events.grain" and so on, for each flip.
        """
        import xarray

        events = {} if self.events is None else self._events_with_axes()
        lead = ("magnet",) if self.magnetization.ndim == 4 else ()
        trust = {} if self.trust is None else {_TRUST + "error": (lead, self.trust.error, _TESLA)}
        step = {"field": ("step", self.field, {"units": "T", "long_name": "µ0 H"})}
        return xarray.Dataset(
            {
                "magnetization": ((*lead, "step", "grain", "component"), self.magnetization),
                "easy_axes": ((*lead, "grain", "component"), self.easy_axes),
                "converged": ((*lead, "step"), self.converged),
                "iterations": ((*lead, "step"), self.iterations),
                "polarization": (
                    ("magnet", "grain")[-self.polarization.ndim :],
                    self.polarization,
                    _TESLA,
                ),
                "volumes": (
                    ("magnet", "grain")[-self.volumes.ndim :],
                    self.volumes,
                    {"units": "m3"},
                ),
                "packing_fraction": (lead[: np.ndim(self.packing_fraction)], self.packing_fraction),
                **trust,
                **events,
            },
            coords={
                **step,
                "component": ["x", "y", "z"],
                **({"side": ["before", "after"]} if events else {}),
            },
            attrs={"field_direction": self.field_direction},
        )

    def _events_with_axes(self):
        """Return the events as variables of an `xarray.Dataset`."""
        axes = dict.fromkeys((f.name for f in fields(Events)), ("flip",))
        axes |= {"moment": ("flip", "side"), "crossing": ("magnet",)}
        values = {name: getattr(self.events, name) for name in axes}
        if self.magnetization.ndim == 3:
            axes["crossing"], values["crossing"] = (), self.events.crossing[0]
        in_tesla = ("field", "crossing")
        return {
            _EVENTS + name: (axes[name], values[name], _TESLA if name in in_tesla else {})
            for name in axes
        }


def _arrays(cls):
    """Return the names of the arrays that a dataclass always has."""
    return [f.name for f in fields(cls) if f.default is MISSING]


def coercivity(field, moment):
    """Return the field that opposes and cancels a moment.

    Args:
        field: (..., t) in tesla. NumPy or a backend's tensor, like `moment`.
        moment: (..., t) component along the field.

    Returns:
        (...) in tesla, by linear interpolation at the first change of the moment's sign: positive
        when the field then points against the moment that it undoes, nan where the sign never
        changes.
    """
    xp, field, moment = namespace(field, moment)
    return -_first_crossing(moment, field + xp.zeros_like(moment)) * xp.sign(moment[..., 0])


def _first_crossing(signal, values):
    """Return (...) the `values` where `signal` first is 0 along the last axis; nan if never."""
    xp = namespace(signal)[0]
    start, end = signal[..., :-1], signal[..., 1:]
    crossing = start * end <= 0
    # A scalar: an array of NaN would be an error under JAX_DEBUG_NANS, also where no result is NaN.
    if not crossing.shape[-1]:
        return xp.where(signal[..., 0] == 0, values[..., 0], np.nan)[()]
    index = xp.argmax(crossing, axis=-1)[..., None]
    s0, s1 = (xp.take_along_axis(part, index, axis=-1)[..., 0] for part in (start, end))
    v0, v1 = (xp.take_along_axis(values, index + i, axis=-1)[..., 0] for i in (0, 1))
    share = s0 / xp.where(s0 == s1, xp.ones_like(s0), s0 - s1)
    return xp.where(xp.any(crossing, axis=-1), v0 + (v1 - v0) * share, np.nan)[()]


def _largest_product(a, b):
    """Return (..., t - 1) maxima of a·b over straight segments, where both are positive; else 0."""
    a0, b0 = a[..., :-1], b[..., :-1]
    da, db = a[..., 1:] - a0, b[..., 1:] - b0
    curvature = np.where(da * db == 0, 1.0, da * db)
    top = np.clip(-(a0 * db + b0 * da) / (2.0 * curvature), 0.0, 1.0)
    points = [(a0 + s * da, b0 + s * db) for s in (0.0, top, 1.0)]
    return np.max([np.where((x > 0) & (y > 0), x * y, 0.0) for x, y in points], axis=0)
