# SPDX-License-Identifier: Apache-2.0
"""What is written comes back, and what is broken is named."""

from dataclasses import replace
import io
import json
import tarfile
import zipfile

from learning_samples import make_sample
import numpy as np
import pytest

from flow_manip_core.errors import InvalidInputError
from flow_manip_learning.dataset import (
    check_dataset,
    DatasetCard,
    DatasetIndex,
    decode_sample,
    encode_sample,
    EncodedSample,
    read_samples,
    ShardWriter,
)
from flow_manip_learning.dataset.arrays import encode_arrays

CARD = DatasetCard('tiny', 'Made-up samples.', 'pytest', {'seed': 3}, ('Nothing real.',))


def write(folder, count=10, *, max_shard_bytes=20_000, card=CARD):
    samples = [make_sample(f'sample-{i:03d}', seed=i) for i in range(count)]
    with ShardWriter(folder, card, max_shard_bytes) as writer:
        for sample in samples:
            writer.write(sample)
    return samples


def assert_same(found, sample):
    assert np.array_equal(found.color, sample.color)
    assert np.array_equal(np.isnan(found.depth), np.isnan(sample.depth))
    assert np.nanmax(np.abs(found.depth - sample.depth)) <= 0.5e-4 + 2e-7
    assert np.array_equal(found.mask, sample.mask)
    assert np.array_equal(found.flow.points, sample.flow.points, equal_nan=True)
    for name in ('confidence', 'times', 'point_ids', 'contact'):
        assert np.array_equal(getattr(found.flow, name), getattr(sample.flow, name)), name
    assert (found.flow.object, found.flow.source) == (sample.flow.object, sample.flow.source)
    assert found.camera == sample.camera
    assert np.array_equal(found.T_world_camera, sample.T_world_camera)
    for name in ('instruction', 'source', 'licence', 'key', 'tags'):
        assert getattr(found, name) == getattr(sample, name), name


def test_samples_come_back_in_order_over_several_shards(tmp_path):
    samples = write(tmp_path)
    index = DatasetIndex.read(tmp_path)
    assert len(index.shards) > 2
    assert index.num_samples == len(samples)
    for found, sample in zip(read_samples(tmp_path), samples, strict=True):
        assert_same(found, sample)
    assert check_dataset(tmp_path) == []


def test_what_is_hidden_or_unknown_comes_back_as_such(tmp_path):
    flow = make_sample().flow
    points, confidence = flow.points.copy(), flow.confidence.copy()
    points[2, 3], confidence[2, 3] = np.nan, 0.0
    confidence[1, 1] = 0.25
    depth = np.full((24, 32), np.nan, np.float32)
    depth[5, 5], depth[6, 6], depth[7, 7] = 0.7, 6.6, 0.00001
    sample = make_sample(
        flow=replace(flow, points=points, confidence=confidence, contact=None),
        depth=depth,
        instruction='stell die Tasse auf den Tisch – bitte',
    )
    found = decode_sample(encode_sample(sample))
    assert np.array_equal(found.flow.points, points, equal_nan=True)
    assert np.array_equal(found.flow.confidence, confidence)
    assert found.flow.contact is None
    assert found.instruction == sample.instruction
    # Farther than 16 bits of 0.1 mm, and nearer than one of them: unknown, never wrong.
    assert np.flatnonzero(np.isfinite(found.depth)).tolist() == [5 * 32 + 5]
    assert found.depth[5, 5] == pytest.approx(0.7, abs=1e-6)


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        write(tmp_path / name)
    a, b = (DatasetIndex.read(tmp_path / name) for name in ('a', 'b'))
    assert a == b


def test_the_order_depends_on_the_seed_and_not_on_the_workers(tmp_path):
    write(tmp_path)

    def keys(**options):
        return [sample.key for sample in read_samples(tmp_path, **options)]

    plain = keys()
    assert keys(workers=3) == plain == sorted(plain)
    shuffled = keys(shuffle_buffer=4, seed=1)
    assert shuffled != plain
    assert sorted(shuffled) == plain
    assert keys(shuffle_buffer=4, seed=1, workers=2) == shuffled
    assert keys(shuffle_buffer=4, seed=2) != shuffled


def test_readers_share_the_shards_between_them(tmp_path):
    write(tmp_path)
    count = len(DatasetIndex.read(tmp_path).shards)
    parts = [
        [s.key for s in read_samples(tmp_path, shards=range(rank, count, 2))] for rank in (0, 1)
    ]
    assert sorted(parts[0] + parts[1]) == [f'sample-{i:03d}' for i in range(10)]
    with pytest.raises(InvalidInputError, match='shards'):
        next(read_samples(tmp_path, shards=[count]))


def test_a_reader_may_be_left_in_the_middle(tmp_path):
    write(tmp_path)
    reading = read_samples(tmp_path, workers=2)
    assert next(reading).key == 'sample-000'
    reading.close()


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    samples = [make_sample(f'sample-{i:03d}', seed=i) for i in range(10)]
    writer = ShardWriter(tmp_path / 'torn', CARD, 20_000)
    for sample in samples[:7]:
        writer.write(sample)
    # It ends here, without close: an unfinished shard is left behind.
    assert list((tmp_path / 'torn').glob('*.part'))
    assert 'the dataset is not complete' in check_dataset(tmp_path / 'torn')
    with ShardWriter(tmp_path / 'torn', CARD, 20_000) as writer:
        assert 0 < len(writer.keys) < 7
        for sample in samples:
            if sample.key not in writer.keys:
                writer.write(sample)
    write(tmp_path / 'whole')
    whole, torn = (DatasetIndex.read(tmp_path / name) for name in ('whole', 'torn'))
    assert torn == whole
    assert check_dataset(tmp_path / 'torn') == []


def test_a_shard_that_the_index_does_not_know_is_written_again(tmp_path):
    write(tmp_path)
    index = DatasetIndex.read(tmp_path)
    # The run ended after the shard had its name and before the index was told.
    replace(index, shards=index.shards[:-1], complete=False).write(tmp_path)
    with ShardWriter(tmp_path, CARD, 20_000) as writer:
        for i in range(10):
            if f'sample-{i:03d}' not in writer.keys:
                writer.write(make_sample(f'sample-{i:03d}', seed=i))
    assert DatasetIndex.read(tmp_path) == index


def test_another_recipe_does_not_get_into_the_same_folder(tmp_path):
    write(tmp_path)
    with pytest.raises(InvalidInputError, match='recipe'):
        ShardWriter(tmp_path, replace(CARD, recipe={'seed': 4}))


def test_a_folder_with_other_things_is_left_alone(tmp_path):
    (tmp_path / 'thesis.txt').write_text('important')
    with pytest.raises(InvalidInputError, match='thesis'):
        ShardWriter(tmp_path, CARD)
    assert (tmp_path / 'thesis.txt').read_text() == 'important'


def test_a_key_is_taken_once(tmp_path):
    with ShardWriter(tmp_path, CARD) as writer:
        writer.write(make_sample('a'))
        with pytest.raises(InvalidInputError, match="'a' already"):
            writer.write(make_sample('a', seed=1))


def test_an_error_on_the_way_leaves_the_dataset_incomplete(tmp_path):
    with pytest.raises(RuntimeError, match='power'), ShardWriter(tmp_path, CARD) as writer:
        writer.write(make_sample('a'))
        raise RuntimeError('power cut')
    index = DatasetIndex.read(tmp_path)
    assert (index.num_samples, index.complete) == (1, False)


def test_the_card_says_how_it_was_made_and_what_is_in_it(tmp_path):
    write(tmp_path)
    text = (tmp_path / 'README.md').read_text()
    for words in ('# tiny', '| samples | 10 |', 'pytest', '"seed": 3', 'Nothing real.'):
        assert words in text
    assert 'simulated (10)' in text
    assert 'Apache-2.0 (10)' in text
    assert '| task | lift (10) |' in text


# ------------------------------------------------------------------ broken on purpose


def repack(path, change):
    """Write a shard anew with `change(name, data) -> (name, data) | None` for every file."""
    members = []
    with tarfile.open(path, 'r:') as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar.getmembers()]
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            changed = change(*member)
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.size = len(changed[1])
                tar.addfile(info, io.BytesIO(changed[1]))


def replaced(kind, make):
    return lambda name, data: (name, make(data) if name.endswith(kind) else data)


def with_value(field, value):
    return replaced('.json', lambda data: json.dumps({**json.loads(data), field: value}).encode())


def header_says_huge(data):
    """A PNG that claims 60000 x 60000 pixels."""
    return data[:16] + (60000).to_bytes(4, 'big') * 2 + data[24:]


def pickled(_):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name in ('points', 'confidence', 'times', 'point_ids', 'mask'):
            raw = io.BytesIO()
            np.save(raw, np.array([{'a': 1}], dtype=object), allow_pickle=True)
            archive.writestr(f'{name}.npy', raw.getvalue())
    return buffer.getvalue()


def header_says_more(data):
    """Points whose header speaks of a million million numbers."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    raw = io.BytesIO()
    header = {'descr': '<f4', 'fortran_order': False, 'shape': (4, 10**12, 3)}
    np.lib.format.write_array_header_1_0(raw, header)
    members['points.npy'] = raw.getvalue() + b'\0' * 48
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda n, d: None if n.endswith('depth.png') else (n, d), 'files'),
        (lambda n, d: (n.replace('depth.png', 'notes.txt'), d), 'part of no sample|at most'),
        (replaced('color.png', lambda d: d[: len(d) // 2]), 'damaged|color'),
        (replaced('color.png', lambda d: b'hello' * 20), 'no PNG'),
        (replaced('color.png', header_says_huge), '60000 x 60000'),
        (lambda n, d: (n, d) if 'depth' not in n else (n, encode_other_depth()), 'expected 32'),
        (replaced('flow.npz', lambda d: d[:-40]), 'flow.npz'),
        (replaced('flow.npz', pickled), 'flow.npz'),
        (replaced('flow.npz', header_says_more), 'at most'),
        (replaced('flow.npz', lambda d: encode_arrays({'points': np.zeros(3)})), 'holds'),
        (replaced('.json', lambda d: b'{'), 'json'),
        (replaced('.json', lambda d: b'[' * 100_000), 'json'),
        (with_value('size', [10**9, 10**9]), 'size'),
        (with_value('size', [31, 24]), '32 x 24|mask'),
        (with_value('intrinsics', [1, 2, 'x', 4]), 'intrinsics'),
        (with_value('intrinsics', [-1, 2, 3, 4]), 'focal'),
        (with_value('version', 2), 'version 2'),
        (with_value('key', 'other'), 'other'),
        (with_value('licence', ''), 'licence'),
        (with_value('tags', {'a': 1}), 'tags'),
        (with_value('surprise', 1), 'just'),
        (lambda n, d: ('x' + n, d) if n.startswith('sample-000.d') else (n, d), 'files'),
    ],
)
def test_damage_is_named_by_the_reader_and_by_the_check(tmp_path, change, message):
    write(tmp_path, 1)
    shard = tmp_path / DatasetIndex.read(tmp_path).shards[0].file
    repack(shard, change)
    forge_index(tmp_path)
    with pytest.raises(InvalidInputError, match=message) as caught:
        list(read_samples(tmp_path))
    assert 'sample-000' in str(caught.value)
    problems = check_dataset(tmp_path)
    assert any('SHA-256' in problem for problem in problems)
    assert any('sample-000' in problem for problem in problems)


def encode_other_depth():
    from flow_manip_learning.dataset.images import encode_depth

    return encode_depth(np.ones((2, 2), np.float32))


def forge_index(folder):
    """Have the index say the new size, so that it is not only the size that betrays."""
    index = DatasetIndex.read(folder)
    shards = tuple(
        replace(shard, bytes=(folder / shard.file).stat().st_size) for shard in index.shards
    )
    replace(index, shards=shards).write(folder)


def test_a_file_larger_than_its_kind_can_be_is_not_read(tmp_path):
    write(tmp_path, 1)
    shard = tmp_path / DatasetIndex.read(tmp_path).shards[0].file
    with tarfile.open(shard, 'r:') as tar:
        offset = tar.getmember('sample-000.json').offset
    info = tarfile.TarInfo('sample-000.json')
    info.size = 2**32
    with shard.open('r+b') as file:
        file.seek(offset)
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
    with pytest.raises(InvalidInputError, match='4294967296 bytes'):
        list(read_samples(tmp_path))


def test_a_cut_shard_is_named(tmp_path):
    write(tmp_path, 3)
    path = tmp_path / DatasetIndex.read(tmp_path).shards[0].file
    with path.open('r+b') as file:
        file.truncate(700)
    with pytest.raises(InvalidInputError, match='has 700 bytes'):
        list(read_samples(tmp_path))
    forge_index(tmp_path)
    with pytest.raises(InvalidInputError, match='shard-000000'):
        list(read_samples(tmp_path))
    assert any('shard-000000' in problem for problem in check_dataset(tmp_path))


def test_a_missing_shard_and_a_stray_one_are_named(tmp_path):
    write(tmp_path)
    (tmp_path / 'shard-000001.tar').rename(tmp_path / 'shard-000099.tar')
    with pytest.raises(InvalidInputError, match=r'shard-000001\.tar is missing'):
        list(read_samples(tmp_path))
    problems = check_dataset(tmp_path)
    assert 'shard-000001.tar is missing' in problems
    assert 'shard-000099.tar is not in the index' in problems


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda v: {**v, 'format': 'cookbook'}, 'format'),
        (lambda v: {**v, 'version': 99}, 'version 99'),
        (lambda v: {**v, 'samples': 5}, 'sums'),
        (lambda v: {**v, 'shards': [{**v['shards'][0], 'file': '../../etc/passwd'}]}, 'passwd'),
        (lambda v: {**v, 'shards': [{**v['shards'][0], 'samples': -1}]}, '-1'),
        (lambda v: {**v, 'card': {}}, 'KeyError'),
        (lambda v: {**v, 'shards': 3}, 'TypeError'),
        (lambda v: [v], 'format'),
    ],
)
def test_an_index_that_says_something_impossible_is_refused(tmp_path, change, message):
    write(tmp_path, 1)
    path = tmp_path / 'dataset.json'
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InvalidInputError, match=message):
        list(read_samples(tmp_path))
    assert len(check_dataset(tmp_path)) == 1


def test_a_folder_without_a_dataset_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match='no dataset'):
        list(read_samples(tmp_path))


def test_an_encoded_sample_of_a_worker_is_written_as_it_is(tmp_path):
    encoded = encode_sample(make_sample('a'))
    with ShardWriter(tmp_path, CARD) as writer:
        writer.write(encoded)
        with pytest.raises(InvalidInputError, match='json'):
            writer.write(EncodedSample('b', {'json': b'{}'}))
    assert_same(next(read_samples(tmp_path)), make_sample('a'))
