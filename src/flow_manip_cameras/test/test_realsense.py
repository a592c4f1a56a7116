# SPDX-License-Identifier: Apache-2.0
"""The camera against librealsense itself: its software device takes frames and is a device."""

import itertools

import numpy as np
import pytest

rs = pytest.importorskip(
    'pyrealsense2',
    reason='pyrealsense2 needs the system package libusb-1.0-0',
    exc_type=ImportError,
)

from flow_manip_cameras import CAMERAS  # noqa: E402
from flow_manip_cameras.realsense import find_device, RealSense  # noqa: E402
from flow_manip_core.backends import create_backend  # noqa: E402
from flow_manip_core.errors import BackendError, StaleInputError  # noqa: E402

WIDTH, HEIGHT, RATE = 160, 120, 60


@pytest.fixture
def connect(context):
    """Return a function that starts a software camera and connects to it."""
    made = []

    def connect(software, **parameters):
        config = RealSense.Config(width=WIDTH, height=HEIGHT, rate=RATE, **parameters)
        made.append(software.start())
        camera = RealSense(config, context, software.device)
        made.insert(0, camera)
        return camera

    yield connect
    for item in made:
        (item.close if isinstance(item, RealSense) else item.stop)()


def settled(camera, count=3):
    """Return the last of a few frames: the first ones may predate a change."""
    return list(itertools.islice(camera.frames(), count))[-1]


def test_colour_and_metric_depth_arrive_with_lens_and_pose(connect, context, software_camera):
    software = software_camera()
    software.depth[:10] = 0.0
    software.depth[50:, 100:] = 1.25
    observation = settled(connect(software))
    np.testing.assert_array_equal(observation.color, software.color)
    assert np.isnan(observation.depth[:9]).all()
    assert observation.depth[30, 30] == pytest.approx(0.8, abs=1e-4)
    assert observation.depth[80, 120] == pytest.approx(1.25, abs=1e-4)
    assert (observation.camera.fx, observation.camera.cx) == (150.0, WIDTH / 2)
    np.testing.assert_array_equal(observation.T_world_camera, context.rig.camera.pose.matrix)
    assert observation.frame_id == 'world'


@pytest.mark.parametrize('unit', [0.0001, 0.00025])
def test_the_depth_unit_is_the_devices(connect, unit, software_camera):
    observation = settled(connect(software_camera(unit=unit)))
    assert np.nanmedian(observation.depth) == pytest.approx(0.8, abs=1e-4)


def test_depth_is_aligned_to_colour(connect, software_camera):
    # The colour lens sits 40 mm beside: at 0.8 m that is 7.5 pixels.
    software = software_camera(offset=0.04)
    software.depth[40:80, 60:80] = 0.6
    aligned = settled(connect(software)).depth
    columns = np.flatnonzero(np.abs(aligned[60] - 0.6) < 0.01)
    assert columns.min() == pytest.approx(60 + 0.04 / 0.6 * 150, abs=1)
    assert columns.max() == pytest.approx(79 + 0.04 / 0.6 * 150, abs=1)


def test_blue_first_cameras_give_red_first_images(connect, software_camera):
    software = software_camera(bgr=True)
    np.testing.assert_array_equal(settled(connect(software)).color, software.color)


def test_a_lens_that_distorts_is_rectified(connect, software_camera):
    k1 = 0.3
    software = software_camera(coefficients=(k1, 0.0, 0.0, 0.0, 0.0))
    software.color = np.repeat(np.arange(WIDTH, dtype=np.uint8)[None, :, None], HEIGHT, axis=0)
    software.color = np.repeat(software.color, 3, axis=2)
    color = settled(connect(software)).color
    x = (140 - WIDTH / 2) / 150.0
    assert color[HEIGHT // 2, 140, 0] == pytest.approx(
        150.0 * x * (1 + k1 * x * x) + WIDTH / 2, abs=1
    )


def test_far_readings_are_dropped_where_that_is_asked_for(connect, software_camera):
    software = software_camera()
    software.depth[:, 80:] = 3.0
    observation = settled(connect(software, max_depth=2.0))
    assert np.isnan(observation.depth[60, 120])
    assert np.isfinite(observation.depth[60, 30])


def test_filters_keep_the_surface(connect, software_camera):
    software = software_camera()
    rng = np.random.default_rng(0)
    software.depth += rng.normal(0, 0.004, software.depth.shape)
    rough = software.depth.std()
    camera = connect(software, spatial_filter=True, temporal_filter=True)
    smooth = settled(camera, 10).depth
    assert np.nanmedian(smooth) == pytest.approx(0.8, abs=0.005)
    assert np.nanstd(smooth) < 0.8 * rough


def test_silence_of_one_stream_is_an_error_with_the_numbers(connect, software_camera):
    software = software_camera()
    camera = connect(software, timeout=0.3)
    frames = camera.frames()
    next(frames)
    software.streams = (False, True)
    with pytest.raises(StaleInputError, match=r'Software camera 42.*0\.3 s.*depth.: 0'):
        list(itertools.islice(frames, 50))
    # It is not over: when frames come again, so do observations.
    software.streams = (True, True)
    assert next(camera.frames()).color.shape == (HEIGHT, WIDTH, 3)


def test_a_size_that_the_device_lacks_is_refused_with_what_it_has(context, software_camera):
    config = RealSense.Config(width=640, height=480, rate=30)
    with pytest.raises(BackendError, match=r'\(640, 480, 30\).*\(160, 120, 60\)'):
        RealSense(config, context, software_camera().device)


def test_an_absent_device_says_what_to_do(context):
    if len(rs.context().query_devices()):
        pytest.skip('a RealSense is connected')
    with pytest.raises(BackendError, match='cable and USB port'):
        find_device('')
    with pytest.raises(BackendError, match='no RealSense device'):
        create_backend(CAMERAS, {'backend': 'realsense'}, context)


def test_closing_twice_is_harmless(connect, software_camera):
    camera = connect(software_camera())
    next(camera.frames())
    camera.close()
    camera.close()
