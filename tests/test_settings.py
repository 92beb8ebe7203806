"""From `pulpo.toml` and the environment to settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pulpo import settings
from pulpo.errors import PulpoError


def test_the_environment_stands_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    """`PULPO_<SECTION>_<KEY>`, for a project's own section and services too; other names are left alone."""
    (tmp_path / "pulpo.toml").write_text(
        '[api]\nport = 8100\npage_limit = 7\n[app]\ncurrency = "EUR"\nmotto = "für alle"\n'
        '[services.mail-relay]\ncommand = "relay"\nport = 1\n[services.mail]\ncommand = "mail"\nport = 2\n',
        encoding="utf-8",
    )
    environ = {
        "PULPO_API_PORT": "8200",
        "PULPO_APP_CURRENCY": "USD",
        "PULPO_SERVICES_MAIL_RELAY_PORT": "3",
        "PULPO_SERVICES_MAIL_PORT": "4",
        "PULPO_SERVICES_OTHER_PORT": "5",
        "PULPO_API_URL": "http://elsewhere",
        "PULPO_CRASH_AT": "x",
    }
    found = settings.load(tmp_path, environ)
    assert (found.api.port, found.api.page_limit, found.ui.port) == (8200, 7, 3000)
    assert found.app == {"currency": "USD", "motto": "für alle"}
    assert {name: service.port for name, service in found.services.items()} == {"mail-relay": 3, "mail": 4}
    assert found.project.name == tmp_path.name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[api", "is not TOML"),
        ("api = 3", "api is a section"),
        ("services = 3", "services is a section"),
        ('project = "shop"', "project is a section"),
        ("[services]\nmail = 3", "services.mail"),
        ("[engine]\nworkrs = 2", "engine.workrs"),
        ('[api]\nport = "high"', "api.port"),
        ("[nothing]", "nothing"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path: Path, text: str, said: str) -> None:
    """PULPO105 with the section and key, whatever the environment adds to it."""
    (tmp_path / "pulpo.toml").write_text(text)
    environ = {"PULPO_API_HOST": "127.0.0.1", "PULPO_SERVICES_MAIL_PORT": "1"}
    with pytest.raises(PulpoError, match=said) as caught:
        settings.load(tmp_path, environ)
    assert caught.value.code == "PULPO105"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """PULPO105, and no trace: a folder of this name, or text that is not UTF-8."""
    file = tmp_path / "pulpo.toml"
    file.mkdir()
    with pytest.raises(PulpoError, match="cannot be read"):
        settings.load(tmp_path, {})
    file.rmdir()
    file.write_bytes(b'[app]\nname = "\xff"')
    with pytest.raises(PulpoError, match="is not TOML") as caught:
        settings.load(tmp_path, {})
    assert caught.value.code == "PULPO105"


@pytest.mark.parametrize(
    ("written", "said", "hint"),
    [
        ("[api]\nprot = 1\n", "pulpo.toml, line 2: api.prot: there is no such setting", 'did you mean "port"?'),
        ("[api]\nport = 70000\n", "pulpo.toml, line 2: api.port", None),
        ("[ui]\nport = -1\n", "pulpo.toml, line 2: ui.port", None),
        ("[engine]\nworkers = -1\n", "pulpo.toml, line 2: engine.workers", None),
        ('[services.x]\ncommand = "c"\nport = 0\n', "pulpo.toml, line 3: services.x.port", None),
        ('[services.x]\ncommand = "c"\nprot = 1\n', "services.x.prot: there is no such", 'did you mean "port"?'),
        ('[[ui.cards]]\nkind = "count"\ntitle = ""\nmodle = ""\n', "ui.cards.0.modle", 'did you mean "model"?'),
        ("sevices = 1\n", "pulpo.toml, line 1: sevices", 'did you mean "services"?'),
    ],
)
def test_a_setting_that_is_wrong_is_named_with_its_line(
    tmp_path: Path, written: str, said: str, hint: str | None
) -> None:
    """And with the nearest name where there is none like it."""
    (tmp_path / "pulpo.toml").write_text(written)
    with pytest.raises(PulpoError) as refused:
        settings.load(tmp_path, {})
    assert (refused.value.code, refused.value.hint) == ("PULPO105", hint)
    assert said in refused.value.detail


def test_a_variable_that_is_wrong_is_named(tmp_path: Path) -> None:
    """Where the file says the same setting, the environment's value is the one that counts."""
    (tmp_path / "pulpo.toml").write_text("[api]\nport = 8000\n")
    with pytest.raises(PulpoError, match=r"PULPO_API_PORT: api\.port"):
        settings.load(tmp_path, {"PULPO_API_PORT": "70000"})


def test_variables_that_mean_nothing_are_told(tmp_path: Path) -> None:
    """With the nearest that does; settings, services and the project's own section mean something."""
    (tmp_path / "pulpo.toml").write_text('[services.mail-relay]\ncommand = "c"\nport = 1\n')
    fine = ("PULPO_API_PORT", "PULPO_SERVICES_MAIL_RELAY_PORT", "PULPO_APP_KEY", "PULPO_API_URL", "HOME")
    (told,) = settings.unknown_variables(tmp_path, dict.fromkeys((*fine, "PULPO_API_PROT"), "1"))
    assert told == 'PULPO_API_PROT in the environment means nothing: did you mean "PULPO_API_PORT"?'
