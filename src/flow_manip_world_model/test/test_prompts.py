# SPDX-License-Identifier: Apache-2.0
import pytest

from flow_manip_core.errors import (
    ConfigurationError,
    EmptyInstructionError,
    InstructionTooLongError,
)
from flow_manip_world_model.prompts import load_prompt, MAX_PROMPT, prompt_names


@pytest.mark.parametrize('name', prompt_names())
def test_every_template_can_be_filled_and_says_its_version(name):
    template = load_prompt(name)
    prompt = template.fill('open the drawer')
    assert 'Open the drawer' in prompt.text
    assert '{' not in prompt.text
    assert all(rule in prompt.text for rule in template.rules)
    assert prompt.negative
    assert prompt.version == f'{name}@{template.version}'
    longest = template.fill('x' * 500)
    assert len(longest.text) <= MAX_PROMPT
    assert len(longest.negative) <= MAX_PROMPT


def test_the_templates_are_those_that_the_systems_need():
    assert set(prompt_names()) >= {'by_one_hand', 'object_alone', 'wan_zh'}
    english, chinese = load_prompt('by_one_hand'), load_prompt('wan_zh')
    assert 'by one hand' in english.text
    assert any('tripod' in rule and 'no zoom' in rule for rule in english.rules)
    assert 'robot' not in english.fill('push it').text  # the video model should draw none
    assert chinese.language == 'zh'
    assert '一只右手' in chinese.text
    assert '镜头移动' in chinese.negative


def test_the_words_of_a_task_are_cleaned_and_nothing_more():
    text = load_prompt('by_one_hand').fill('  put {it}\n on   the {task} plate. ').text
    assert text.startswith('Put {it} on the {task} plate, by one hand.')


def test_tasks_without_words_or_without_end_are_refused():
    template = load_prompt('by_one_hand')
    with pytest.raises(EmptyInstructionError):
        template.fill(' . ')
    with pytest.raises(InstructionTooLongError, match='501'):
        template.fill('x' * 501)


def test_a_template_of_ones_own_is_read_from_its_path(tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text(
        'version: 3\nlanguage: en\ntext: "Show: {task}"\nrules: []\nnegative: [blur]\n'
    )
    prompt = load_prompt(str(path)).fill('lift it')
    assert (prompt.text, prompt.negative, prompt.version) == ('Show: Lift it', 'blur', 'mine@3')
    path.write_text('version: 3\nlanguage: en\ntext: "Show it"\nrules: []\nnegative: []\n')
    with pytest.raises(ConfigurationError, match='stands 0 times'):
        load_prompt(str(path))
    with pytest.raises(ConfigurationError, match='by_one_hand'):
        load_prompt('nothing')
