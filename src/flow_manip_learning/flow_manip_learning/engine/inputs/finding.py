# SPDX-License-Identifier: Apache-2.0
"""Finding the clips in files and folders, by what lies there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
import json
from pathlib import Path

from flow_manip_core.errors import ConfigurationError, VideoFailedError
from flow_manip_learning.engine.inputs.lerobot import INFO, lerobot_sources
from flow_manip_learning.engine.inputs.source import (
    ClipSource,
    InputOptions,
    make_key,
    pictures_in,
)
from flow_manip_world_model.video.files import video_seconds

VIDEOS = ('.mp4', '.mov', '.avi', '.mkv', '.webm')
BAGS = ('.mcap', '.db3')
EPISODE = 'episode.json'  # bridge_episodes: pictures with actions, states and an instruction
MAX_WORDS = 1 << 20  # [bytes] of a file with words
LAYOUTS = (
    'video files, folders of pictures, RGB-D folders, bags (.mcap), LeRobot v3 datasets, folders '
    f'of pictures with an {EPISODE}'
)


def find_sources(paths: Sequence[Path], options: InputOptions) -> list[ClipSource]:
    """Return all clips of the inputs, in an order that depends on nothing but their names.

    Args:
        paths: files and folders.
        options: how they are cut.

    Raises:
        ConfigurationError: an input holds no clip, or two clips get the same key.
        BackendError: pyarrow is needed and not installed.
    """
    found: list[ClipSource] = []
    limit = options.max_clips or None
    for path in paths:
        here = list(islice(_of(path, path.resolve().parent.name, options, 0), limit))
        if not here:
            raise ConfigurationError(f'{path} holds no clip; known are {LAYOUTS}')
        found += here
    found = found[:limit]
    keys: dict[str, ClipSource] = {}
    for source in found:
        other = keys.setdefault(source.key, source)
        if other is not source:
            raise ConfigurationError(
                f"{source.path} and {other.path} would both be called '{source.key}'"
            )
    return found


def _of(path: Path, footage: str, options: InputOptions, depth: int) -> Iterator[ClipSource]:
    """Return the clips of one input."""
    if not path.exists():
        raise ConfigurationError(f'{path}: no such file or folder')
    if path.is_file():
        if path.suffix.lower() in VIDEOS:
            yield from _video(path, footage, options)
        elif path.suffix.lower() in BAGS or path.suffix in ('.yaml', '.yml'):
            yield _whole(path, footage, 'recording', options)
        return
    name = path.resolve().name
    if (path / INFO).is_file():
        yield from lerobot_sources(path, options)
    elif (path / EPISODE).is_file():
        yield _bridge(path, footage, options)
    elif _is_recording(path):
        yield _whole(path, footage, 'recording', options)
    elif depth == 0 or len(pictures_in(path)) < 2:
        yield from _within(path, name, options, depth)
        if depth == 0 and len(pictures_in(path)) >= 2:
            yield _whole(path, footage, 'images', options)
    else:
        yield _whole(path, footage, 'images', options)


def _within(folder: Path, footage: str, options: InputOptions, depth: int) -> Iterator[ClipSource]:
    """Return the clips of a folder's files and, two levels down, of its folders."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith('.'):
            continue
        if entry.is_file() or depth < 2:
            yield from _of(entry, footage, options, depth + 1)


def _is_recording(path: Path) -> bool:
    named = any((path / name).is_file() for name in ('recording.yaml', 'metadata.yaml'))
    return named or any(path.glob('frame-*.color.*'))


def _video(path: Path, footage: str, options: InputOptions) -> Iterator[ClipSource]:
    """Return a video file as one clip, or cut into several of equal length."""
    words, mask = _words_beside(path) or options.instruction, _mask_beside(path)
    key, start = make_key(footage, path.stem), options.start
    try:
        total = video_seconds(path) if options.seconds else 0.0
    except VideoFailedError:
        total = 0.0  # whoever reads the clip says what is wrong with it
    if options.seconds == 0.0 or total - start <= 1.5 * options.seconds:
        yield ClipSource(key, path, 'video', footage, words, start, None, gripper=mask)
        return
    # What is left over at the end is part of the last clip.
    count = max(1, round((total - start) / options.seconds))
    for number in range(count):
        begin = start + number * options.seconds
        yield ClipSource(
            f'{key[-94:]}-w{number:03d}',
            path,
            'video',
            footage,
            words,
            begin,
            min(options.seconds, total - begin),
            # A mask is one of the first frame.
            gripper=mask if number == 0 else None,
        )


def _whole(path: Path, footage: str, kind: str, options: InputOptions) -> ClipSource:
    mask = path / 'gripper.png' if path.is_dir() else path.with_suffix('.gripper.png')
    return ClipSource(
        make_key(footage, path.resolve().stem if path.is_file() else path.resolve().name),
        path,
        kind,
        footage,
        options.instruction,
        options.start if kind == 'recording' else 0.0,
        (options.seconds or None) if kind == 'recording' else None,
        options.rate,
        mask if mask.is_file() else None,
    )


def _bridge(path: Path, footage: str, options: InputOptions) -> ClipSource:
    """Return an episode with its words.

    Raises:
        ConfigurationError: its json is damaged.
    """
    file = path / EPISODE
    try:
        if file.stat().st_size > MAX_WORDS:
            raise ConfigurationError(f'{file} is larger than {MAX_WORDS} bytes')
        said = json.loads(file.read_text(encoding='utf-8'))['instruction']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f'{file}: {type(error).__name__}: {error}') from error
    if not isinstance(said, str):
        raise ConfigurationError(f'{file}: the instruction is {type(said).__name__}')
    mask = path / 'gripper.png'
    return ClipSource(
        make_key(footage, path.resolve().name),
        path,
        'bridge',
        footage,
        said[:500] or options.instruction,
        rate=options.rate,
        gripper=mask if mask.is_file() else None,
    )


def _words_beside(path: Path) -> str:
    """Return what a text file of the same name says, '' where there is none."""
    file = path.with_suffix('.txt')
    if not file.is_file() or file.stat().st_size > MAX_WORDS:
        return ''
    return ' '.join(file.read_text(encoding='utf-8', errors='replace').split())[:500]


def _mask_beside(path: Path) -> Path | None:
    mask = path.with_suffix('.gripper.png')
    return mask if mask.is_file() else None
