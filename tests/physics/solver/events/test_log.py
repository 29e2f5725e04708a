"""Segments of a field, and the log of events with its avalanches."""

import numpy as np
import pytest

from keras_micromag.physics.solver.events.continuation import FLIP, NODE, Record
from keras_micromag.physics.solver.events.log import (
    Avalanches,
    EventLog,
    Segments,
    without_reopened,
)

GRAINS = 2


# Segments


def test_segments_along_a_field_that_turns():
    segments = Segments.along(np.array([8.0, 8.0, 2.0, -3.0, -3.0, 5.0, 6.0, 6.0, 1.0]))
    np.testing.assert_array_equal(segments.ends, [-3, 6, 1])
    np.testing.assert_array_equal(segments.starts, [8, -3, 6])
    np.testing.assert_array_equal(segments.direction, [-1, 1, -1])
    np.testing.assert_array_equal(segments.start_path_length, [0, 11, 20])
    np.testing.assert_array_equal(segments.field_path_length, [0, 0, 6, 11, 11, 19, 20, 20, 25])
    length = segments.path_length(np.array([0, 1]), np.array([2, 2]))
    np.testing.assert_array_equal(length, [6, 16])


@pytest.mark.parametrize("field", [[8.0], [8.0, 8.0]], ids=["one field", "the same field twice"])
def test_a_field_that_does_not_move_is_a_segment_without_length(field):
    segments = Segments.along(np.array(field))
    np.testing.assert_array_equal(segments.ends, [8.0])
    np.testing.assert_array_equal(segments.starts, [8.0])
    np.testing.assert_array_equal(segments.start_path_length, [0.0])
    np.testing.assert_array_equal(segments.field_path_length, np.zeros(len(field)))


def test_path_length_is_the_sum_of_all_moves():
    field = np.random.default_rng(1).normal(size=50)
    segments = Segments.along(field)
    moves = np.cumsum(np.abs(np.diff(field, prepend=field[0])))
    np.testing.assert_allclose(segments.field_path_length, moves, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(segments.direction[1:], -segments.direction[:-1])


def test_fields_at_the_ends_of_segments_are_exact():
    segments = Segments.along(np.array([0.1, -0.7, 0.3]))
    rounded = np.array([0.1, -0.7, -0.7, 0.3, 0.2], "float32")
    exact = segments.snap_to_ends(np.array([0, 0, 1, 1, 1]), rounded)
    np.testing.assert_array_equal(exact, [0.1, -0.7, -0.7, 0.3, np.float32(0.2)])


# The log of events


def log_of(*entries):
    """Return the log of entries (magnet, kind, segment, field)."""
    magnet, kind, segment, field = (np.array(part) for part in zip(*entries, strict=True))
    n = len(magnet)
    return EventLog(
        magnet=magnet,
        kind=kind,
        segment=segment,
        field=field,
        root=field,
        moments=np.zeros((n, 3, GRAINS)),
        flips=np.zeros((n, GRAINS), bool),
        change=np.arange(n),
        matvecs=np.ones(n, int),
        converged=np.ones(n, bool),
    )


@pytest.mark.parametrize(
    ("entries", "kept"),
    [
        # An avalanche that had not ended at its node.
        ([(0, FLIP, 0, 1.0), (0, NODE, 0, 1.0), (0, FLIP, 0, 1.0)], [0, 2]),
        # Two avalanches at different fields.
        ([(0, FLIP, 0, 1.0), (0, NODE, 0, 1.0), (0, FLIP, 0, 0.5)], [0, 1, 2]),
        # The same field on the next segment.
        ([(0, FLIP, 0, 1.0), (0, NODE, 0, 1.0), (0, FLIP, 1, 1.0)], [0, 1, 2]),
        # Another magnet's avalanche.
        ([(0, FLIP, 0, 1.0), (0, NODE, 0, 1.0), (1, FLIP, 0, 1.0)], [0, 1, 2]),
        # A node that no flip precedes, in this magnet.
        ([(0, NODE, 0, 1.0), (0, FLIP, 0, 1.0)], [0, 1]),
        ([(0, FLIP, 0, 1.0), (1, NODE, 0, 1.0), (1, FLIP, 0, 1.0)], [0, 1, 2]),
        # Twice in a row, and the last node is the end.
        (
            [
                (0, FLIP, 0, 1.0),
                (0, NODE, 0, 1.0),
                (0, FLIP, 0, 1.0),
                (0, NODE, 0, 1.0),
                (0, FLIP, 0, 1.0),
                (0, NODE, 0, 1.0),
            ],
            [0, 2, 4, 5],
        ),
    ],
    ids=["reopened", "field", "segment", "magnet", "no flip", "flip of another", "twice"],
)
def test_avalanches_that_go_on_at_the_same_field_have_one_end(entries, kept):
    np.testing.assert_array_equal(without_reopened(log_of(*entries)).change, kept)


def test_a_log_is_read_from_records_and_sorted_by_magnet():
    segments = Segments.along(np.array([1.0, -1.0]))
    iterations, b, padded = 3, 2, GRAINS + 1
    records = Record(
        kind=np.array([[NODE, 0], [0, FLIP], [FLIP, NODE]]),
        segment=np.zeros((iterations, b), int),
        field=np.array([[1.0, 1.0], [0.5, 0.25], [-0.75, 0.25]]),
        root_offset=np.array([[0.0, 0.0], [0.0, -0.125], [-0.5, 0.0]]),
        moments=np.zeros((iterations, b, 3, padded)),
        flips=np.zeros((iterations, b, padded)),
        change=np.zeros((iterations, b)),
        matvecs=np.array([[1, 2], [3, 4], [5, 6]]),
        converged=np.ones((iterations, b), int),
    )
    log = EventLog.from_records(records, segments, GRAINS)
    assert log.moments.shape == (4, 3, GRAINS) and log.flips.shape == (4, GRAINS)
    np.testing.assert_array_equal(log.magnet, [0, 1, 0, 1])
    log = EventLog.concatenate([log, log.select(log.magnet == 0)])
    np.testing.assert_array_equal(log.magnet, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(log.matvecs, [1, 5, 1, 5, 4, 6])
    # No root is beyond the end of its segment.
    np.testing.assert_array_equal(log.root, [1.0, -1.0, 1.0, -1.0, 0.125, 0.25])


# Avalanches


def test_flips_in_a_row_are_one_avalanche():
    segments = Segments.along(np.array([2.0, -2.0]))
    log = log_of(
        (0, NODE, 0, 2.0),
        (0, FLIP, 0, 1.0),
        (0, FLIP, 0, 1.0),
        (0, NODE, 0, 1.0),
        (0, FLIP, 0, -1.0),
        (1, FLIP, 0, 0.5),
        (1, NODE, 0, 0.5),
    )
    avalanches = Avalanches.of(log, segments)
    np.testing.assert_array_equal(avalanches.first, [1, 4, 5])
    np.testing.assert_array_equal(avalanches.number, [0, 1, 0])
    np.testing.assert_array_equal(avalanches.magnet, [0, 0, 1])
    np.testing.assert_array_equal(avalanches.root, [1.0, -1.0, 0.5])
    np.testing.assert_array_equal(avalanches.path_length, [1.0, 3.0, 1.5])


def test_avalanches_divide_a_magnet_into_arcs():
    log = log_of(
        (0, NODE, 0, 2.0),
        (0, FLIP, 0, 1.0),
        (0, FLIP, 0, 1.0),
        (0, NODE, 0, 1.0),
        (0, FLIP, 0, -1.0),
        (0, NODE, 0, -1.0),
        (1, NODE, 0, 2.0),
        (2, FLIP, 0, 0.5),
        (2, NODE, 0, 0.5),
    )
    avalanches = Avalanches.of(log, Segments.along(np.array([2.0, -2.0])))
    # A flip lies on the arc that it leads to.
    np.testing.assert_array_equal(avalanches.arc_of_entry, [0, 1, 1, 1, 2, 2, 3, 5, 5])
    np.testing.assert_array_equal(avalanches.arc, [0, 1, 4])
    np.testing.assert_array_equal(avalanches.end, [3, 5, 8])


def test_the_next_step_of_a_path_length():
    segments = Segments.along(np.array([2.0, 1.0, 1.0, 2.0]))
    lengths = np.array([0.0, 0.5, 1.0, 1.0 + 1e-12, 1.1, 2.0, 2.1])
    np.testing.assert_array_equal(segments.next_step(lengths), [0, 1, 1, 1, 3, 3, 4])
