"""Settings: which layer wins, what is refused, and how the refusal reads."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.config import known_settings, load_settings, variable_of
from dnr_core.config.secrets import mask
from dnr_core.errors import ConfigError
from dnr_core.plugins import load_plugins


def write(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@given(
    layers=st.fixed_dictionaries(
        {},
        optional={
            "file": st.integers(0, 9),
            "environment": st.integers(10, 19),
            "flag": st.integers(20, 29),
        },
    )
)
def test_the_later_layer_wins_and_is_named(
    tmp_path_factory: pytest.TempPathFactory, layers: dict[str, int]
) -> None:
    """Defaults, file, environment, flags: the last that is set gives the value and its origin."""
    folder = tmp_path_factory.mktemp("layers")
    file = write(folder, f"warehouse: {{seed: {layers['file']}}}" if "file" in layers else "{}")
    environ = {"DNR_WAREHOUSE_SEED": str(layers["environment"])} if "environment" in layers else {}
    effective = load_settings(file, environ=environ, flags={"warehouse.seed": layers.get("flag")})
    last = next((name for name in ("flag", "environment", "file") if name in layers), "default")
    assert effective.settings.warehouse.seed == layers.get(last, 42)
    assert effective.origins["warehouse.seed"].layer == last


REFUSED: dict[str, tuple[str, str]] = {
    "an unknown key": ("warehouse: {scal: tiny}", "no setting 'warehouse.scal'"),
    "text for a number": (
        "warehouse: {seed: x}",
        r"warehouse.seed .* is 'x', but must be a whole number",
    ),
    "a fraction for a count": ("warehouse: {months: 1.5}", "is 1.5, but must be a whole number"),
    "a number for a flag": ("cache: {enabled: 3}", "is 3, but must be true or false"),
    "zero months": ("warehouse: {months: 0}", "is 0, but must be >= 1"),
    "a scale of zero": (
        "warehouse: {scale: 0}",
        "must be one of tiny, evaluation or a number above 0",
    ),
    "an unknown trajectory": ("warehouse: {trajectory: T9}", "is 'T9', but must be in"),
    "an unknown zone": ("warehouse: {tz: Mars/Base}", "must be a time zone such as"),
    "a share over one": ("report: {min_confidence: 55}", "is 55, but must be <= 1"),
    "not a number": ("report: {late_weight: .nan}", "must be a finite number"),
    "an SLO of no kind": ("report: {table_slos: {t: {nulls: 1}}}", "not t.nulls"),
    "a missing source weight": (
        "report: {demand_base_weights: {nlq: 1}}",
        "a weight of at least 0 for each",
    ),
    "a value for a group": ("warehouse: 3", "warehouse is 3, but it is a group of settings"),
    "a list at the top": ("- 1", "holds a list, not settings"),
    "no YAML": ("a: [1", "line 1, column 6: no valid YAML"),
    "a key twice": ("warehouse: {seed: 1, seed: 2}", "the key 'seed' stands twice"),
    "an alias": ("warehouse: &w {seed: 1}\ncomms: *w", "aliases are not allowed"),
    "a tag": ("warehouse: !!python/object:os.system {}", "no valid YAML"),
    "a date that is none": ("warehouse: {as_of: soon}", "must be an instant such as"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_file_is_refused_by_name(case: str, tmp_path: Path) -> None:
    """The message names file, field and value, and says what is allowed."""
    text, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(write(tmp_path, text), environ={})
    assert "settings.yaml" in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_key_suggests_the_nearest(tmp_path: Path) -> None:
    """`scal` suggests `scale`, in a file, in a variable and in a flag."""
    with pytest.raises(ConfigError) as caught:
        load_settings(write(tmp_path, "warehouse: {scal: tiny}"), environ={})
    assert caught.value.hint == "did you mean 'scale'?"
    with pytest.raises(ConfigError) as caught:
        load_settings(environ={"DNR_WAREHOUSE_SCAL": "tiny"})
    assert caught.value.hint == "did you mean 'DNR_WAREHOUSE_SCALE'?"


def test_what_comes_from_a_flag_is_said_to() -> None:
    """A value refused from the command line names its layer, as those of files name their file."""
    with pytest.raises(ConfigError, match=r"warehouse\.months \(flag\) is 0"):
        load_settings(environ={}, flags={"warehouse.months": 0})


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"a: 1\n" * 300_000])
def test_a_file_that_is_no_settings_file_is_refused(content: bytes, tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and a file far too large, end in a message."""
    file = tmp_path / "settings.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        load_settings(file, environ={})


def test_every_setting_has_one_variable() -> None:
    """No two settings share an environment variable, and each is read through its own."""
    paths = list(known_settings(load_plugins()))
    assert len({variable_of(path) for path in paths}) == len(paths)
    effective = load_settings(
        environ={"DNR_REPORT_SLOS_KEY_NULL_PCT": "2.5", "DNR_REPORT_WINDOW_DAYS": "all"}
    )
    assert effective.settings.report.slos.key_null_pct == 2.5
    assert effective.settings.report.window_days is None


def test_the_caps_own_variable_loses_to_the_general_one() -> None:
    """`LLM_API_CAP_USD` sets the cap of classification; `DNR_CLASSIFICATION_API_CAP_USD` wins."""
    environ = {"LLM_API_CAP_USD": "3"}
    assert load_settings(environ=environ).settings.classification.api_cap_usd == 3.0
    environ["DNR_CLASSIFICATION_API_CAP_USD"] = "2"
    assert load_settings(environ=environ).settings.classification.api_cap_usd == 2.0


def test_an_archetypes_settings_are_settings_like_any_other(tmp_path: Path) -> None:
    """What a guardrail brings is read, refused and listed below `report.`."""
    catalogue = load_plugins()
    paths = {g.settings_path for a in catalogue.archetypes.values() for g in a.guardrails}
    assert paths
    effective = load_settings(environ={}, catalogue=catalogue)
    assert set(effective.settings.guardrails) == paths
    path = sorted(paths)[0]
    with pytest.raises(ConfigError, match="there is no setting"):
        load_settings(
            write(tmp_path, f"report: {{{path.split('.')[0]}: {{nonsense: 1}}}}"),
            environ={},
            catalogue=catalogue,
        )


def test_the_starter_file_holds_every_setting_at_its_default(tmp_path: Path) -> None:
    """What `init` writes changes nothing, and leaves no setting out."""
    text = files("dnr_core.config").joinpath("starter.yaml").read_text("utf-8")
    effective = load_settings(write(tmp_path, text), environ={})
    assert effective.values == load_settings(environ={}).values
    assert [path for path, origin in effective.origins.items() if origin.layer == "default"] == []


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abcdef123456", "postgres://reader:hunter2hunter2@db.example/shop", "A" * 45],
)
def test_what_looks_like_a_secret_is_never_shown(secret: str, tmp_path: Path) -> None:
    """A key or password that was put into the file by mistake is masked in the error."""
    hidden = "hunter2hunter2" if "hunter" in secret else secret
    assert hidden not in mask(f"at {secret} we failed")
    file = write(tmp_path, f"classification: {{env_key_var: '{secret}'}}")
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ={})
    assert hidden not in str(caught.value) + caught.value.hint


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_any_value_in_any_flag_is_taken_or_refused(value: Any) -> None:
    """No value, however odd, ends in anything but settings or a `ConfigError`."""
    for path in (
        "warehouse.seed",
        "report.table_slos",
        "warehouse.archetypes",
        "warehouse.as_of",
        "paths.data",
    ):
        with suppress(ConfigError):
            load_settings(environ={}, flags={path: value})
