"""Settings: all of them are documented, and a wrong one is named in one line."""

import re
from pathlib import Path

import pytest

from persona_assets.errors import InputError
from persona_assets.settings import Settings, load_settings, prepare_home

ON_BIGQUERY = {
    "warehouse": "bigquery",
    "writer": "bigquery",
    "bigquery_project": "p",
    "model": "gemini-2.5-flash",
}
EXAMPLE = Path(__file__).parents[1] / ".env.example"
LINE = re.compile(r"# (.+)\n# (?:PERSONA_)?([A-Z_]+)=(.*)\n")


@pytest.fixture
def example() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


def test_every_setting_has_its_line_in_the_example_and_no_line_is_unknown(example):
    named = re.findall(r"^# (?:PERSONA_)?([A-Z_]+)=", example, flags=re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_the_example_says_what_each_setting_means(example):
    said = {name.lower(): meaning for meaning, name, _ in LINE.findall(example)}
    assert said == {name: field.description for name, field in Settings.model_fields.items()}


def test_the_example_changes_nothing_as_it_is(example):
    assert [line for line in example.splitlines() if line and not line.startswith("# ")] == []


def test_the_example_uncommented_gives_the_defaults(example, tmp_path):
    uncommented = re.sub("^# ((PERSONA|OPENAI)_[A-Z_]+=)", r"\1", example, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(uncommented, encoding="utf-8")
    settings = load_settings()
    assert settings == Settings.model_construct()
    assert settings.model_fields_set > {"home", "k_max", "excluded_statuses"}


def test_the_environment_goes_before_the_file_and_the_caller_before_both(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("PERSONA_K_MIN=3\nPERSONA_K_MAX=4\nPERSONA_SALT=file\n")
    monkeypatch.setenv("PERSONA_K_MAX", "5")
    monkeypatch.setenv("PERSONA_SALT", "environment")
    settings = load_settings(salt="caller")
    assert (settings.k_min, settings.k_max, settings.salt) == (3, 5, "caller")


def test_an_override_that_is_none_leaves_the_setting_alone(monkeypatch):
    monkeypatch.setenv("PERSONA_SALT", "environment")
    assert load_settings(salt=None).salt == "environment"


@pytest.mark.parametrize(
    ("value", "statuses"),
    [("Cancelled", ("Cancelled",)), (" A , On hold,, ", ("A", "On hold")), (",", ())],
)
def test_excluded_statuses_are_separated_by_commas(monkeypatch, value, statuses):
    monkeypatch.setenv("PERSONA_EXCLUDED_STATUSES", value)
    assert load_settings().excluded_statuses == statuses


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PERSONA_WAREHOUSE", "oracle"),
        ("PERSONA_AS_OF", "2025-02-30"),
        ("PERSONA_AS_OF", "yesterday"),
        ("PERSONA_SAMPLE_CUSTOMERS", "0"),
        ("PERSONA_SAMPLE_CUSTOMERS", "many"),
        ("PERSONA_SAMPLE_SEED", "-1"),
        ("PERSONA_K_MIN", "1"),
        ("PERSONA_K_MAX", "2.5"),
        ("PERSONA_WRITER", "goose"),
        ("PERSONA_LOCK_SECONDS", "-0.1"),
        ("PERSONA_LOCK_SECONDS", "nan"),
    ],
)
def test_a_wrong_value_gives_one_line_with_the_variable_and_the_value(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as refused:
        load_settings()
    assert re.fullmatch(rf"{name} is {re.escape(repr(value))}: \S.*\.", str(refused.value))


def test_every_wrong_value_has_a_line(monkeypatch):
    monkeypatch.setenv("PERSONA_K_MIN", "few")
    monkeypatch.setenv("PERSONA_AS_OF", "soon")
    with pytest.raises(InputError) as refused:
        load_settings()
    assert sorted(line.split()[0] for line in str(refused.value).split("\n")) == [
        "PERSONA_AS_OF",
        "PERSONA_K_MIN",
    ]


def test_a_value_with_line_breaks_stays_on_its_line(monkeypatch):
    monkeypatch.setenv("PERSONA_K_MIN", "2\nPERSONA_K_MAX is fine")
    with pytest.raises(InputError) as refused:
        load_settings()
    assert "\n" not in str(refused.value)


def test_k_min_must_not_exceed_k_max(monkeypatch):
    monkeypatch.setenv("PERSONA_K_MIN", "6")
    monkeypatch.setenv("PERSONA_K_MAX", "5")
    with pytest.raises(InputError, match=r"^PERSONA_K_MIN is 6 and PERSONA_K_MAX is 5: .*\.$"):
        load_settings()
    monkeypatch.setenv("PERSONA_K_MAX", "6")
    assert load_settings().k_max == 6


def test_a_file_of_settings_in_another_encoding_is_named(tmp_path):
    (tmp_path / ".env").write_bytes("PERSONA_SHOP_NAME=Café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"\.env is not UTF-8"):
        load_settings()


def test_reading_settings_makes_nothing_on_the_disk(tmp_path):
    load_settings(home=tmp_path / "home")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("home", ["file", "file/below"])
def test_a_home_that_cannot_be_written_is_named_with_the_variable(tmp_path, home):
    (tmp_path / "file").write_text("here first")
    with pytest.raises(InputError) as refused:
        prepare_home(load_settings(home=tmp_path / home))
    assert re.fullmatch(
        rf"The home {tmp_path / home} cannot be written \(.+\): set PERSONA_HOME to .*\.",
        str(refused.value),
    )
    assert (tmp_path / "file").read_text() == "here first"


def test_a_prepared_home_keeps_what_is_in_it_and_sends_no_telemetry(tmp_path):
    settings = load_settings(home=tmp_path / "deep" / "home")
    prepare_home(settings)
    config = settings.dagster_home / "dagster.yaml"
    assert "telemetry:\n  enabled: false\n" in config.read_text()
    config.write_text("# mine\n")
    prepare_home(settings)
    assert config.read_text() == "# mine\n"
    assert not (settings.home / ".writable").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"labels": "hand_off"}, "PERSONA_MODEL is not set"),
        ({"labels": "hand_on"}, "PERSONA_LABELS_FILE"),
        ({"labels_file": Path("labels.csv")}, "PERSONA_LABELS=hand_on"),
        ({"warehouse": "bigquery"}, "PERSONA_BIGQUERY_PROJECT is not set"),
        (
            {"warehouse": "bigquery", "bigquery_project": "p", "source": Path("shop")},
            "set PERSONA_BIGQUERY_SOURCE instead",
        ),
        ({"bigquery_source": "thelook_ecommerce"}, "PERSONA_BIGQUERY_SOURCE is"),
        ({"writer": "bigquery", "model": "m"}, "set PERSONA_WAREHOUSE=bigquery too"),
        ({**ON_BIGQUERY, "model": None}, "PERSONA_WRITER=bigquery .* such as gemini-2.5-flash"),
        ({**ON_BIGQUERY, "labels": "hand_off", "model": None}, "^PERSONA_WRITER=bigquery asks"),
        ({**ON_BIGQUERY, "max_output_tokens": 8_193}, "PERSONA_MAX_OUTPUT_TOKENS is 8193"),
        ({"bigquery_model": "our-dataset.copywriter"}, "PERSONA_BIGQUERY_MODEL is"),
        ({"bigquery_connection": "us`; DROP"}, "PERSONA_BIGQUERY_CONNECTION is"),
        ({"bigquery_function": "AI.GENERATE"}, "PERSONA_BIGQUERY_FUNCTION is"),
    ],
)
def test_what_goes_together_is_asked_for_before_anything_runs(given, named):
    with pytest.raises(InputError, match=named):
        load_settings(**given)


@pytest.mark.parametrize(
    ("given", "connection"),
    [
        ({}, "p.us.persona"),
        ({"bigquery_location": "europe-west4", "bigquery_connection": "ours"},
         "p.europe-west4.ours"),
        ({"bigquery_connection": "q.eu.theirs"}, "q.eu.theirs"),
    ],
)  # fmt: skip
def test_a_connection_is_in_our_project_and_location_unless_it_says_otherwise(given, connection):
    assert load_settings(**ON_BIGQUERY, **given).bigquery_connection_id == connection
