"""Progress bars on a terminal, of loops and of the set-up of an operator."""

from collections.abc import Iterable, Iterator

_PACE = 3600.0
"""Seconds over which the speed is averaged. With rich's own 30 a large magnet, whose steps are
reported once a minute, would never get an estimate of the time left."""


class Progress:
    """A bar over the field steps of all magnets, on a terminal or when asked for.

    It shows the field of the magnet that is furthest behind, and the number of products with the
    demagnetising matrix, which keeps rising where a long avalanche stays at one field.

    Args:
        wanted: whether to show it; on a terminal if None.
        loops: `Loops`, in which the equilibria are collected. Steps that are in it from the
            beginning, since another process did them, count as done, but not for the speed.
    """

    def __init__(self, wanted: bool | None, loops):
        self._wanted, self._loops, self._bar = wanted, loops, None

    def __enter__(self):
        self._bar = _bar(
            self._wanted, "{task.fields[field]:.3f} T, {task.fields[products]} products,"
        )
        if self._bar:
            self._bar.start()
            self._task = self._bar.add_task(
                "field steps",
                total=self._loops.converged.size,
                completed=self._loops.done,
                field=self._loops.field_behind,
                products=self._loops.products,
            )
        return self

    def __call__(self, state):
        """Update the bar from the loops, and from the solver's `state` of the next steps."""
        if self._bar:
            from keras import ops

            begun = int(ops.convert_to_numpy(state.products).sum())
            self._bar.update(
                self._task,
                completed=self._loops.done,
                field=self._loops.field_behind,
                products=self._loops.products + begun,
            )

    def __exit__(self, *error):
        if self._bar:
            self._bar.stop()


def tracked(items: Iterable, what: str, total: int, wanted: bool | None) -> Iterator:
    """Yield each of `total` items, and show a bar of how many there were.

    Args:
        items: to iterate over.
        what: their name, shown with the bar.
        total: their number.
        wanted: whether to show the bar; on a terminal if None.
    """
    bar = _bar(wanted)
    if bar is None:
        yield from items
        return
    with bar:
        yield from bar.track(items, total=total, description=what)


def _bar(wanted, *columns):
    """Return a bar with further text columns where one is wanted, or None."""
    if wanted is False:
        return None
    from rich import console, progress

    terminal = console.Console(stderr=True)
    if not (wanted or terminal.is_terminal):
        return None
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        *map(progress.TextColumn, columns),
        progress.TimeElapsedColumn(),
        progress.TextColumn("+"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("left"),
        console=terminal,
        transient=terminal.is_terminal,
        speed_estimate_period=_PACE,
        expand=True,
    )
