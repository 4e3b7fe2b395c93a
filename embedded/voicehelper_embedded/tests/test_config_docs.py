"""The page of settings."""

from __future__ import annotations

from voicehelper_embedded import config_docs


def test_the_page_is_up_to_date():
    assert config_docs.PAGE.read_text() == config_docs.render(), "run `make config-docs`"


def test_every_setting_is_described():
    for settings in config_docs.classes():
        for name, field in settings.model_fields.items():
            assert field.description, f"{settings.__name__}.{name} has no description"


def test_every_room_with_settings_is_there():
    rooms = {settings.__module__.split(".")[0] for settings in config_docs.classes()}
    assert rooms >= {
        "voicehelper_core", "voicehelper_operator", "voicehelper_control_plane", "voicehelper_router",
        "voicehelper_cell", "voicehelper_analytics",
    }  # fmt: skip
