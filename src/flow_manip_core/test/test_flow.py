# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_core.flow import decode_points, encode_points, FlowEncoding, ObjectFlow
from flow_manip_core.transforms import make_transform, rotation_about


def make_flow(**changes):
    fields = {
        'points': np.random.default_rng(0).normal(size=(4, 5, 3)),
        'confidence': np.ones((4, 5)),
        'times': np.arange(4.0),
    }
    return ObjectFlow(**{**fields, **changes})


@pytest.mark.parametrize('encoding', list(FlowEncoding))
@pytest.mark.parametrize('steps', [1, 2, 41])
def test_every_encoding_round_trips(encoding, steps):
    points = np.random.default_rng(1).normal(size=(steps, 7, 3)).astype(np.float32)
    decoded = decode_points(encode_points(points, encoding), encoding)
    np.testing.assert_array_equal(decoded.astype(np.float32), points)


def test_encodings_mean_what_they_say():
    points = np.array([[[1.0, 0, 0]], [[3.0, 0, 0]], [[6.0, 0, 0]]])
    assert encode_points(points, FlowEncoding.CUMULATIVE)[:, 0, 0].tolist() == [1, 2, 5]
    assert encode_points(points, FlowEncoding.INCREMENT)[:, 0, 0].tolist() == [1, 2, 3]


def test_encoding_leaves_its_input_alone():
    points = np.ones((3, 2, 3))
    encode_points(points, FlowEncoding.CUMULATIVE)
    assert (points == 1).all()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'points': np.zeros((4, 5, 2))}, r'expected \(T, N, 3\)'),
        ({'points': np.zeros((0, 5, 3))}, 'T, N >= 1'),
        ({'confidence': np.ones((4, 4))}, 'confidence is'),
        ({'confidence': np.full((4, 5), 1.5)}, 'within 0..1'),
        ({'confidence': np.full((4, 5), np.nan)}, 'within 0..1'),
        ({'times': np.zeros(4)}, 'strictly increasing'),
        ({'times': np.array([0, 1, np.nan, 3])}, 'strictly increasing'),
        ({'points': np.full((4, 5, 3), np.nan)}, 'not finite'),
        ({'points': np.full((4, 5, 3), 1e6)}, 'from the origin'),
        ({'point_ids': np.array([1, 1, 2, 3, 4])}, 'unique'),
        ({'point_ids': np.array([1, 2])}, 'unique'),
    ],
)
def test_what_makes_no_sense_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        make_flow(**changes)


def test_hidden_points_may_be_unknown():
    points, confidence = np.zeros((4, 5, 3)), np.ones((4, 5))
    points[2, 3], confidence[2, 3] = np.nan, 0.0
    flow = make_flow(points=points, confidence=confidence)
    assert not flow.visible[2, 3]
    assert flow.always_visible().num_points == 4
    assert 3 not in flow.always_visible().point_ids


def test_a_flow_that_never_shows_a_point_throughout_says_so():
    with pytest.raises(InvalidInputError, match='T, N >= 1'):
        make_flow(confidence=np.zeros((4, 5))).always_visible()


def test_changing_the_frame_moves_the_points():
    flow = make_flow()
    moved = flow.in_frame('camera', make_transform([1, 2, 3]))
    np.testing.assert_allclose(
        moved.points - flow.points, np.broadcast_to([1, 2, 3], (4, 5, 3)), atol=1e-6
    )
    assert moved.frame_id == 'camera'


def test_the_contact_follows_into_another_frame():
    points = np.zeros((2, 3, 3))
    flow = ObjectFlow(points, np.ones((2, 3)), np.arange(2.0), contact=[1.0, 0.0, 0.0])
    turn = make_transform([0.0, 0.0, 1.0], rotation_about([0, 0, 1], np.pi / 2))
    np.testing.assert_allclose(flow.in_frame('base', turn).contact, [0, 1, 1], atol=1e-9)


@pytest.mark.parametrize('contact', [[1.0, 2.0], [0.0, 0.0, float('nan')]])
def test_a_contact_that_is_no_point_is_refused(contact):
    with pytest.raises(InvalidInputError, match='contact'):
        ObjectFlow(np.zeros((1, 1, 3)), np.ones((1, 1)), np.zeros(1), contact=contact)
