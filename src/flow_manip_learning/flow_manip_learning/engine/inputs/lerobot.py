# SPDX-License-Identifier: Apache-2.0
"""LeRobot datasets, version 3: many episodes per mp4, told apart by parquet tables.

The layout is the one that LeRobot's documentation describes: `meta/info.json` names the features
and the files' pattern, `meta/episodes/*/*.parquet` has a row per episode with its words and, for
every camera, the file and the seconds in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
import re
from typing import Any

from flow_manip_core.errors import BackendError, ConfigurationError
from flow_manip_learning.engine.inputs.source import ClipSource, InputOptions, make_key

INFO = 'meta/info.json'
EPISODES = 'meta/episodes'
VIDEO_PATH = 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
MAX_INFO = 1 << 22  # [bytes]
MAX_EPISODES = 1_000_000
_FIELD = re.compile(r'\{(video_key|chunk_index|file_index)(?::0?(\d))?d?\}')


def lerobot_sources(folder: Path, options: InputOptions) -> Iterator[ClipSource]:
    """Return every episode of every chosen camera.

    Raises:
        ConfigurationError: it is of another version, or damaged.
        BackendError: pyarrow is not installed.
    """
    info = _info(folder)
    cameras = _cameras(info, options.camera, folder)
    pattern = info.get('video_path') or VIDEO_PATH
    name = folder.resolve().name
    for row in _episodes(folder, cameras):
        for camera in cameras:
            try:
                path = _file(folder, str(pattern), camera, row)
                start = float(row[f'videos/{camera}/from_timestamp'])
                end = float(row[f'videos/{camera}/to_timestamp'])
                number = int(row['episode_index'])
                words = row.get('tasks') or []
            except (KeyError, TypeError, ValueError) as error:
                raise ConfigurationError(
                    f'{folder}: an episode of {EPISODES} is damaged: {error}'
                ) from error
            short = camera.rsplit('.', 1)[-1]
            yield ClipSource(
                make_key(name, f'e{number:06d}', short),
                path,
                'lerobot',
                name,
                str(words[0])[:500] if len(words) else options.instruction,
                start,
                end - start,
            )


def _info(folder: Path) -> dict[str, Any]:
    """Read `meta/info.json`.

    Raises:
        ConfigurationError: as it says.
    """
    path = folder / INFO
    try:
        if path.stat().st_size > MAX_INFO:
            raise ConfigurationError(f'{path} is larger than {MAX_INFO} bytes')
        info = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f'{path}: {error}') from error
    version = info.get('codebase_version') if isinstance(info, dict) else None
    if not isinstance(version, str) or not re.fullmatch(r'v?3(\.\d+)*', version):
        raise ConfigurationError(
            f'{folder} is a LeRobot dataset of version {version!r}, read are those of version 3; '
            "LeRobot's own tools convert older ones"
        )
    return dict(info)


def _cameras(info: Mapping[str, Any], wanted: str, folder: Path) -> list[str]:
    """Return the names of the video features, or the one that is wanted.

    Raises:
        ConfigurationError: there is none.
    """
    features = info.get('features')
    names = sorted(
        str(name)
        for name, feature in (features.items() if isinstance(features, dict) else ())
        if isinstance(feature, dict) and feature.get('dtype') == 'video'
    )
    if wanted and wanted not in names:
        raise ConfigurationError(f"{folder} has no camera '{wanted}'; it has {names}")
    if not names:
        raise ConfigurationError(f'{folder} has no videos among its features')
    return [wanted] if wanted else names


def _episodes(folder: Path, cameras: list[str]) -> Iterator[dict[str, Any]]:
    """Return the rows of the episodes' tables, in order.

    Raises:
        BackendError: pyarrow is not installed.
        ConfigurationError: a table is missing or damaged.
    """
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise BackendError(
            f'{error}; LeRobot datasets are read with it: pip install pyarrow'
        ) from error
    columns = ['episode_index', 'tasks']
    parts = ('chunk_index', 'file_index', 'from_timestamp', 'to_timestamp')
    columns += [f'videos/{camera}/{part}' for camera in cameras for part in parts]
    tables = sorted((folder / EPISODES).glob('chunk-*/file-*.parquet'))
    if not tables:
        raise ConfigurationError(f'{folder} has no tables in {EPISODES}')
    count = 0
    for path in tables:
        try:
            rows = parquet.read_table(path, columns=columns).to_pylist()
        except (OSError, pyarrow.ArrowException) as error:
            raise ConfigurationError(f'{path}: {error}') from error
        count += len(rows)
        if count > MAX_EPISODES:
            raise ConfigurationError(f'{folder} has more than {MAX_EPISODES} episodes')
        yield from rows


def _file(folder: Path, pattern: str, camera: str, row: Mapping[str, Any]) -> Path:
    """Return the file that an episode's frames are in.

    Raises:
        ConfigurationError: the pattern leads out of the dataset.
    """
    values = {
        'video_key': camera,
        'chunk_index': int(row[f'videos/{camera}/chunk_index']),
        'file_index': int(row[f'videos/{camera}/file_index']),
    }

    # Not str.format: a pattern out of a file could reach into the values' attributes.
    def fill(match: re.Match[str]) -> str:
        value = values[match[1]]
        return str(value).zfill(int(match[2])) if match[2] else str(value)

    path = folder / _FIELD.sub(fill, pattern)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ConfigurationError(f"'{pattern}' leads out of {folder}")
    return path
