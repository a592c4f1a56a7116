# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_cameras.recording.pairing import MAX_WAITING, StampPairer


def run(colors, depths, max_interval=0.02, order=None):
    """Feed both streams in the order of arrival and return the pairs of stamps."""
    events = [('color', s) for s in colors] + [('depth', s) for s in depths]
    events = sorted(events, key=lambda e: e[1]) if order is None else order(events)
    pairer = StampPairer(max_interval)
    pairs = []
    for kind, stamp in events:
        add = pairer.add_color if kind == 'color' else pairer.add_depth
        pairs += list(add(stamp, stamp))
    return pairs + list(pairer.flush()), pairer


def test_equal_stamps_pair_up():
    stamps = [0.0, 0.1, 0.2]
    pairs, pairer = run(stamps, stamps)
    assert pairs == [(s, s) for s in stamps]
    assert pairer.lone == 0


def test_the_nearer_of_two_depths_is_taken():
    pairs, _ = run([0.1], [0.09, 0.103, 0.115])
    assert pairs == [(0.1, 0.103)]


@pytest.mark.parametrize('seed', range(5))
def test_any_interleaving_gives_the_nearest_pairs(seed):
    rng = np.random.default_rng(seed)
    colors = np.arange(40) / 30.0
    depths = colors + rng.uniform(-0.01, 0.01, 40)

    def shuffle(events):
        # Each stream stays in order, but either may lag behind by up to 0.3 s.
        lag = {'color': rng.uniform(0, 0.3), 'depth': rng.uniform(0, 0.3)}
        return sorted(events, key=lambda e: e[1] + lag[e[0]])

    pairs, pairer = run(colors, depths, order=shuffle)
    assert pairs == list(zip(colors, depths))
    assert pairer.lone == 0


def test_a_depth_is_used_once():
    pairs, pairer = run([0.0, 0.005], [0.002])
    assert len(pairs) == 1
    assert pairer.lone == 1


def test_a_stream_without_partner_does_not_pile_up():
    pairer = StampPairer(0.02)
    for index in range(10 * MAX_WAITING):
        assert not list(pairer.add_depth(index / 30.0, index))
    assert len(pairer._depths) <= MAX_WAITING
    for index in range(10 * MAX_WAITING):
        list(pairer.add_color(1000 + index / 30.0, index))
    assert len(pairer._colors) <= MAX_WAITING + 1
