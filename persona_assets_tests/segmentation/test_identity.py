"""Segments keep their names from fit to fit."""

import numpy as np

from persona_assets.segmentation import match_segments

CENTRES = np.array([[0.0, 0], [5, 0], [0, 5]])
NAMES = ["seg_1", "seg_2", "seg_3"]


def names(matched):
    return [name for name, _ in matched]


def test_the_first_fit_is_numbered_in_its_order():
    matched = match_segments(CENTRES, np.empty((0, 2)), [])
    assert matched == [("seg_1", None), ("seg_2", None), ("seg_3", None)]


def test_the_same_centres_keep_their_names_in_any_order():
    matched = match_segments(CENTRES[[2, 0, 1]], CENTRES, NAMES, 3)
    assert matched == [("seg_3", 0.0), ("seg_1", 0.0), ("seg_2", 0.0)]


def test_centres_that_moved_a_little_keep_their_names_and_say_how_far():
    matched = match_segments(CENTRES + [0.3, 0.4], CENTRES, NAMES, 3)
    assert names(matched) == NAMES
    assert np.allclose([distance for _, distance in matched], 0.5)


def test_a_segment_far_from_every_former_one_is_new():
    matched = match_segments(np.array([[0.0, 0], [5, 0], [9, 9]]), CENTRES, NAMES, 3)
    assert matched == [("seg_1", 0.0), ("seg_2", 0.0), ("seg_4", None)]


def test_one_more_segment_gets_the_next_number():
    matched = match_segments(np.vstack([[[5.0, 5]], CENTRES]), CENTRES, NAMES, 3)
    assert names(matched) == ["seg_4", "seg_1", "seg_2", "seg_3"]


def test_a_number_that_was_given_out_is_never_given_again():
    # seg_3 is gone, and what is new now is somebody else.
    matched = match_segments(np.array([[0.0, 0], [9, 9]]), CENTRES[:2], NAMES[:2], 3)
    assert names(matched) == ["seg_1", "seg_4"]


def test_the_pairs_are_the_best_together_and_not_one_by_one():
    previous = np.array([[0.0, 0], [0.8, 0]])
    matched = match_segments(np.array([[0.7, 0], [1.6, 0]]), previous, ["seg_1", "seg_2"], 2)
    assert names(matched) == ["seg_1", "seg_2"]
