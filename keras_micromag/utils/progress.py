"""Progress on standard error: bars of loops and operators, and the stages of a long command."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator

_PACE = 3600.0
"""Seconds over which the speed is averaged. With rich's own 30 a large magnet, whose steps are
reported once a minute, would never get an estimate of the time left."""


class Progress:
    """A bar over the field steps of all magnets, on a terminal or when asked for.

    It shows the field of the magnet that is furthest behind, and the number of products with the
    demagnetising matrix, which keeps rising where a long avalanche stays at one field.

    Args:
        show: whether to show the bar; on a terminal if None.
        loops: `Loops`, in which the equilibria are collected. Steps that are in it from the
            beginning, since another process did them, count as done, but not for the speed.
    """

    def __init__(self, show: bool | None, loops):
        self._show, self._loops, self._bar = show, loops, None

    def __enter__(self):
        self._bar = _bar(
            self._show, "{task.fields[field]:.3f} T, {task.fields[products]} products,"
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


def tracked(items: Iterable, what: str, total: int, show: bool | None) -> Iterator:
    """Yield each of `total` items, and show a bar of how many there were.

    Args:
        items: to iterate over.
        what: their name, shown with the bar.
        total: their number.
        show: whether to show the bar; on a terminal if None.
    """
    with counter(what, total, show) as count:
        for item in items:
            yield item
            count()


@contextlib.contextmanager
def counter(what: str, total: int, show: bool | None = None) -> Iterator[Callable[[], None]]:
    """Show a bar of how many of `total` items are done; the arguments are those of `tracked`.

    Yields:
        A function to call after each item.
    """
    bar = _bar(show)
    if bar is None:
        yield lambda: None
        return
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


class Stages:
    """Announces the stages of a long command on standard error, and shows one bar at a time.

    Where standard error is not a terminal, a line tells the time left instead of the bar.

    Args:
        total: number of stages.
        show: whether to write anything.
    """

    def __init__(self, total: int, show: bool = True):
        self._total, self._show, self._number = total, show, 0

    @contextlib.contextmanager
    def __call__(self, title: str) -> Iterator[Callable[[int, int], None]]:
        """Announce a stage, and say at its end how long it took.

        Yields:
            A function to call with the number of steps that are done, and that of all steps.
        """
        self._number += 1
        self._print(f"[{self._number}/{self._total}] {title}")
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            yield self._on_terminal(stack) or self._on_file()
        self._print(f"      done in {_duration(time.monotonic() - began)}")

    def _on_terminal(self, stack):
        """Return a function that updates a bar, or None where there is no terminal."""
        bar = _bar(None if self._show else False)
        if bar is None:
            return None
        task = None

        def report(done, total):
            nonlocal task
            if task is None:  # not before: a stage may show a bar of its own
                task = stack.enter_context(bar).add_task("     ", total=total)
            bar.update(task, completed=done, total=total)

        return report

    def _on_file(self):
        """Return a function that writes the time left, once a twentieth of the steps is timed."""
        first, written = None, False

        def report(done, total):
            nonlocal first, written
            now = time.monotonic()
            # Without the steps before the first report: whatever was compiled took their time.
            first = first or (now, done)
            timed = done - first[1]
            if not written and 20 * timed >= total:
                left = (now - first[0]) * (total - done) / timed
                self._print(f"      about {_duration(left)} left")
                written = True

        return report

    def _print(self, line):
        if self._show:
            print(line, file=sys.stderr, flush=True)


def _duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _bar(show, *columns):
    """Return a bar with further text columns where one is to be shown, or None."""
    if show is False:
        return None
    from rich import console, progress

    terminal = console.Console(stderr=True)
    if not (show or terminal.is_terminal):
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
