# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from flow_manip_perception.colors import color_scores, paint_features

PAINTS = {
    'red': (200, 35, 30),
    'orange': (235, 120, 25),
    'yellow': (230, 200, 40),
    'green': (40, 150, 50),
    'cyan': (40, 170, 180),
    'blue': (35, 70, 190),
    'purple': (120, 45, 150),
    'pink': (240, 130, 170),
    'brown': (110, 65, 35),
    'white': (235, 235, 232),
    'gray': (120, 120, 120),
    'black': (28, 28, 30),
}


def pixels(rgb, light=1.0, seed=0):
    noise = np.random.default_rng(seed).normal(size=(500, 3)) * 4
    return np.clip(np.array(rgb) * light + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('name', PAINTS)
@pytest.mark.parametrize('light', [0.75, 1.0])
def test_paints_keep_their_names_under_dimmer_light(name, light):
    if name == 'gray':
        light = 1.0
    scores = color_scores(pixels(PAINTS[name], light))
    assert scores[name] > 0.8
    assert max(scores, key=scores.get) == name or name == 'brown'


@pytest.mark.parametrize(
    ('name', 'other'), [('red', 'blue'), ('green', 'yellow'), ('white', 'black'), ('blue', 'red')]
)
def test_paints_do_not_wear_other_names(name, other):
    assert color_scores(pixels(PAINTS[name]))[other] < 0.1


def test_a_label_does_not_take_the_colour_from_a_box():
    mixed = np.concatenate([pixels(PAINTS['red']), pixels(PAINTS['white'])[:200]])
    scores = color_scores(mixed)
    assert scores['red'] > 0.9
    assert scores['white'] < 0.95


def test_shade_changes_a_paint_less_than_another_paint_does():
    import cv2

    def feature(rgb):
        image = np.array(rgb, dtype=np.float32).reshape(1, 1, 3) / 255
        return paint_features(cv2.cvtColor(image, cv2.COLOR_RGB2LAB))[0, 0]

    red, shaded = feature((200, 35, 30)), feature((130, 23, 20))
    assert np.linalg.norm(red - shaded) < 0.5 * np.linalg.norm(red - feature((235, 120, 25)))
