# SPDX-License-Identifier: Apache-2.0
from html.parser import HTMLParser
import json
import subprocess

import imageio_ffmpeg
from mcap_ros2.reader import read_ros2_messages
import numpy as np
from PIL import Image
import pytest
from rosbags.highlevel import AnyReader
from task_fakes import FakeWorld
import task_scene as scene

from flow_manip_core.errors import GraspMissedError, ObjectAbsentError, RecordError
from flow_manip_task import page
from flow_manip_task import record as record_module
from flow_manip_task.manipulation import Manipulation
from flow_manip_task.record import RunRecord, slug
from flow_manip_task.stages import ManipulateRequest

PUT = ManipulateRequest('put the red cube on the plate', seed=3)
FILES = {
    'color.png', 'depth.png', 'observation.json', 'mask.png', 'flow.png', 'flow_3d.png',
    'candidates.png', 'plan.png', 'after.png', 'execution.mp4', 'report.json', 'goal.mcap',
    'index.html',
}  # fmt: skip


def run(root, request=PUT, world=None):
    world = world or FakeWorld()
    manipulation = Manipulation(
        world.stages, open_record=lambda r: RunRecord(root, r, about={'pipeline': 'default'})
    )
    return manipulation.run(request)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
    """A record of a goal that missed its first grasp and then worked."""
    root = tmp_path_factory.mktemp('runs')
    world = FakeWorld().fail('execute grasp', GraspMissedError('closed on <nothing>'))
    result = run(root, world=world)
    return root, result


def folder_of(result):
    from pathlib import Path

    return Path(result.record_path)


def test_a_record_has_everything_and_nothing_half_done(done):
    root, result = done
    assert result.succeeded
    assert result.record_error == ''
    assert {p.name for p in folder_of(result).iterdir()} == FILES
    assert [p.name for p in root.iterdir()] == [folder_of(result).name]
    assert folder_of(result).name.endswith('-put-the-red-cube-on-the-plate')


def test_the_depth_image_holds_millimetres(done):
    depth = np.asarray(Image.open(folder_of(done[1]) / 'depth.png'))
    assert depth.dtype == np.uint16
    assert abs(depth / 1000.0 - scene.observe().depth).max() <= 0.00051


def test_unknown_depth_is_written_as_zero(tmp_path):
    depth = np.array([[1.0, np.nan], [-0.1, 70.0]], dtype=np.float32)
    record_module._write_depth(tmp_path / 'd.png', depth)
    assert np.asarray(Image.open(tmp_path / 'd.png')).tolist() == [[1000, 0], [0, 65535]]


def test_pictures_are_larger_than_the_cameras_and_not_blank(done):
    for name in ('candidates.png', 'mask.png', 'flow.png', 'flow_3d.png', 'plan.png'):
        image = np.asarray(Image.open(folder_of(done[1]) / name))
        assert image.shape[1] >= 1000, name
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 500, name


def test_the_report_says_which_candidates_were_dropped_and_how_the_rest_was_ranked(tmp_path):
    text = '107 IMPLAUSIBLE_VIDEO: it jumps at frame 12'
    result = run(tmp_path, world=FakeWorld(dropped=(text,), order=(1,)))
    report = json.loads((folder_of(result) / 'report.json').read_text())
    assert report['dropped'] == [text]
    assert report['ranking']['vetoes'] == ['leaves the table', '']
    assert report['ranking']['note'] == ''


def test_a_single_candidate_needs_no_picture_of_its_own(tmp_path):
    result = run(tmp_path, world=FakeWorld(candidates=1))
    assert {p.name for p in folder_of(result).iterdir()} == FILES - {'candidates.png'}


def test_the_report_says_what_happened(done):
    report = json.loads((folder_of(done[1]) / 'report.json').read_text())
    result = report['result']
    assert (result['code'], result['name'], result['sentence']) == (0, 'NONE', 'succeeded')
    assert result['attempts'] == 2
    assert report['request']['seed'] == 3
    assert report['understood']['references'] == ['plate']
    assert [s['stage'] for s in report['stages'] if s['attempt'] == 1][-1] == 'REPLANNING'
    assert [s['code'] for s in report['stages'] if s['stage'] == 'GRASPING'] == [304, 0]
    assert set(result['seconds']) >= {'OBSERVING', 'CHECKING', 'REPLANNING'}
    assert report['versions']['python']
    assert report['about'] == {'pipeline': 'default'}
    assert report['plan']['rejections']['too wide'] == 2


def test_mcap_ros2_reads_every_message_of_the_goal(done):
    by_topic = {}
    for item in read_ros2_messages(str(folder_of(done[1]) / 'goal.mcap')):
        by_topic.setdefault(item.channel.topic, []).append(item.ros_msg)
    assert by_topic['manipulate/goal'][0].instruction == PUT.instruction
    assert by_topic['manipulate/result'][0].error_code == 0
    assert len(by_topic['observation']) == 2, 'both attempts'
    flow = by_topic['world_model/object_flow'][-1]
    points = np.array(flow.points).reshape(flow.num_steps, flow.num_points, 3)
    assert np.allclose(points, scene.put_flow().points)
    plan = by_topic['planning/plan'][-1]
    assert [s.name for s in plan.segments] == ['approach', 'grasp', 'follow', 'release', 'retreat']
    assert len(plan.segments[0].trajectory.points) == 20
    assert by_topic['perception/masks'][0].masks[0].label == 'red cube'
    assert {r.stage for r in by_topic['task/status']} >= {'OBSERVING', 'REPLANNING', 'DONE'}
    image = by_topic['cameras/observation/color/image_raw'][0]
    color = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    assert (color == scene.observe().color).all()


def test_rosbags_reads_the_same_mcap(done):
    with AnyReader([folder_of(done[1]) / 'goal.mcap']) as reader:
        plans = [c for c in reader.connections if c.topic == 'planning/plan']
        _, _, raw = next(reader.messages(plans))
        assert reader.deserialize(raw, plans[0].msgtype).robot == 'franka'


def test_browsers_can_play_the_video(done):
    path = folder_of(done[1]) / 'execution.mp4'
    command = [imageio_ffmpeg.get_ffmpeg_exe(), '-i', str(path)]
    about = subprocess.run(command, capture_output=True, check=False).stderr.decode()
    assert 'h264' in about
    assert 'yuv420p' in about
    assert '320x240' in about
    data = path.read_bytes()
    assert data.index(b'moov') < data.index(b'mdat'), 'plays before it is loaded whole'


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.sources += [v for k, v in attributes if k in ('src', 'href', 'srcset', 'poster')]


def test_the_page_needs_nothing_but_itself(done):
    text = (folder_of(done[1]) / 'index.html').read_text(encoding='utf-8')
    seen = Page()
    seen.feed(text)
    assert len(seen.sources) == 8
    assert all(source.startswith('data:') for source in seen.sources)
    assert not {'script', 'link', 'iframe', 'object'} & set(seen.tags)
    assert 'http://' not in text
    assert 'https://' not in text
    assert 'url(' not in text
    assert 'name="viewport"' in text


def test_words_from_the_goal_stay_words_in_the_page(done, tmp_path):
    text = (folder_of(done[1]) / 'index.html').read_text(encoding='utf-8')
    assert 'closed on &lt;nothing&gt;' in text
    result = run(tmp_path, ManipulateRequest('<script>alert(1)</script>'))
    text = (folder_of(result) / 'index.html').read_text(encoding='utf-8')
    assert '<script>' not in text


def test_a_goal_that_was_refused_has_a_record_too(tmp_path):
    result = run(tmp_path, ManipulateRequest(''))
    assert result.code == 401
    names = {p.name for p in folder_of(result).iterdir()}
    assert names == {'report.json', 'goal.mcap', 'index.html'}
    assert folder_of(result).name.endswith('-goal')


def test_a_goal_that_failed_early_shows_what_there_was(tmp_path):
    world = FakeWorld().fail('segment', ObjectAbsentError('no red cube'))
    result = run(tmp_path, world=world)
    names = {p.name for p in folder_of(result).iterdir()}
    assert {'color.png', 'depth.png', 'index.html'} <= names
    assert 'mask.png' not in names
    assert 'no red cube' in (folder_of(result) / 'index.html').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('../../etc/passwd', 'etc-passwd'),
        ('put the rød cube\0 on / the "plate"', 'put-the-rd-cube-on-the-plate'),
        ('....', 'goal'),
        ('', 'goal'),
        ('置く', 'goal'),
        ('x' * 100_000, 'x' * 48),
        ('CON: aux.txt', 'con-aux-txt'),
    ],
)
def test_file_names_are_safe_whatever_the_words_are(text, name):
    assert slug(text) == name


def test_nothing_is_written_outside_the_folder(tmp_path):
    root = tmp_path / 'deep' / 'runs'
    result = run(root, ManipulateRequest('../../escape'))
    assert folder_of(result).parent == root
    assert [p.name for p in tmp_path.iterdir()] == ['deep']


def test_two_goals_in_one_second_have_two_records(tmp_path):
    from datetime import datetime, timezone

    fixed = datetime(2025, 5, 4, 3, 2, 1, tzinfo=timezone.utc)
    first = RunRecord(tmp_path, PUT, now=lambda: fixed)
    second = RunRecord(tmp_path, PUT, now=lambda: fixed)
    assert first.path != second.path
    first.discard()
    second.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_does_not_keep_the_robot_from_working(tmp_path):
    blocked = tmp_path / 'file'
    blocked.write_text('in the way')
    result = run(blocked / 'runs')
    assert result.succeeded
    assert result.record_path == ''
    assert 'file' in result.record_error
    assert result.record_error in result.message


def test_of_a_dry_run_the_record_is_the_product_so_its_loss_is_a_failure(tmp_path):
    blocked = tmp_path / 'file'
    blocked.write_text('in the way')
    result = run(blocked / 'runs', ManipulateRequest(PUT.instruction, dry_run=True))
    assert (result.code, result.name) == (10, 'RECORD_FAILED')


def test_a_full_disk_leaves_the_result_and_no_half_record(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(record_module, '_write_json', full)
    result = run(tmp_path)
    assert result.succeeded
    assert result.record_path == ''
    assert 'No space left' in result.record_error
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_fails_is_named_and_the_rest_is_there(tmp_path, monkeypatch):
    def broken(*args):
        raise ValueError('no colours')

    monkeypatch.setattr(record_module.drawing, 'draw_flow', broken)
    result = run(tmp_path)
    assert result.succeeded
    assert 'flow.png: no colours' in result.record_error
    names = {p.name for p in folder_of(result).iterdir()}
    assert names == FILES - {'flow.png'}
    assert 'no colours' in (folder_of(result) / 'index.html').read_text(encoding='utf-8')


def test_a_folder_without_report_is_not_a_record(tmp_path):
    with pytest.raises(RecordError, match=r'report\.json'):
        page.make_page(tmp_path)
    (tmp_path / 'report.json').write_text('[1, 2]')
    with pytest.raises(RecordError, match='not the report'):
        page.make_page(tmp_path)
