"""Asset checks: every rule of every table and every claim, kept and broken, and what is said."""

import math
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from persona_assets import schemas
from persona_assets.checks import (
    CLAIMS,
    WARNINGS,
    Failure,
    build_checks,
    claim_failures,
    schema_failures,
)
from persona_assets.definitions import build_defs
from persona_assets.languages import LANGUAGES
from persona_assets.warehouse import DuckDBWarehouse, read_query
from persona_assets.warehouse.base import OUR_DATASET, SOURCE_DATASET

OURS = (
    schemas.countries,
    schemas.suppression_list,
    schemas.parametric,
    schemas.cluster_metrics,
    schemas.centroids,
    schemas.customer_segments,
    schemas.segment_labels,
    schemas.final_prompts,
    schemas.emails,
)
MODELS = {model.__name__: model for model in (*schemas.SOURCES, *OURS)}
every_table = pytest.mark.parametrize("table", MODELS)
every_keyed_table = pytest.mark.parametrize(
    "table", [name for name, model in MODELS.items() if schemas.key(model)]
)

NO_LANGUAGE = ["it", "EN", "english", ""]
NO_LIFECYCLE = ["prospects", "New", ""]
NO_ADDRESS = ["", "ana", "@", "ana@", "@example.org", "a@b@c", "an a@example.org", "a@b.c\n"]
# What each column must refuse, beside NULL and other types.
REFUSED: dict[str, dict[str, list]] = {
    "users": {},
    "orders": {},
    "order_items": {},
    "products": {},
    "events": {},
    "countries": {"territory": ["es", "ESP", "E", "", "ES "], "language": NO_LANGUAGE},
    "suppression_list": {},
    "parametric": {
        "language": NO_LANGUAGE,
        "total_orders": [-1],
        "months_since_last_order": [-0.01, -math.inf],
        "freq_orders_per_month": [-0.01],
        "freq_orders_per_quarter": [-0.01],
    },
    "cluster_metrics": {
        "k": [0, -1],
        "silhouette": [-1.01, 1.01, math.nan, math.inf],
        "calinski_harabasz": [-0.01],
        "davies_bouldin": [-0.01],
        "stability": [-1.01, 1.01, math.nan],
        "score": [-0.01, 1.01, math.nan],
    },
    "centroids": {
        "segment": ["seg_", "prospects", "SEG_1", "seg_1 ", "seg_x"],
        "customers": [0, -1],
        "total_orders": [-0.01],
        "months_since_last_order": [-0.01],
        "freq_orders_per_month": [-0.01],
        "centre_total_orders": [-0.01],
        "centre_total_revenue": [-0.01],
        "centre_months_since_last_order": [-0.01],
        "deviation_total_orders": [0.0],
        "deviation_total_revenue": [0.0],
        "deviation_months_since_last_order": [0.0],
        "last_number": [0],
    },
    "customer_segments": {"segment": ["", "seg_", "seg_1x", "prospect", "prospects "]},
    "segment_labels": {"segment_label": [""], "designation": [""]},
    "final_prompts": {
        "email": NO_ADDRESS,
        "language": NO_LANGUAGE,
        "lifecycle": NO_LIFECYCLE,
        "total_orders": [-1],
        "order_interval_months": [0, -1],
        "prompt": [""],
        "prompt_hash": ["", "a" * 63, "a" * 65, "A" * 64, "g" * 64],
    },
    "emails": {
        "email": NO_ADDRESS,
        "language": NO_LANGUAGE,
        "lifecycle": NO_LIFECYCLE,
        "subject": ["", "s" * 51, "ü" * 51],
        "preheader": ["", "p" * 111],
        "marketing_email": [""],
        "attempt": [0, -1],
    },
}
ACCEPTED: dict[str, dict[str, list]] = {
    "countries": {"territory": ["ES", "XK"], "language": [*LANGUAGES]},
    "cluster_metrics": {"silhouette": [-1, 0, 1, None], "stability": [-1, 1, None], "k": [1]},
    "centroids": {"segment": ["seg_0", "seg_12"], "customers": [1], "avg_basket": [-5.0]},
    "customer_segments": {"segment": ["seg_1", "seg_12", "prospects"]},
    "final_prompts": {"email": ["ana@example.org", "a'b@c", "ünï@例え.jp"]},
    "emails": {"subject": ["s", "ü" * 50, "漢" * 50], "preheader": ["p" * 110], "attempt": [1]},
}


@pytest.fixture(scope="module")
def good_row(finished_home) -> Callable[[str], dict[str, Any]]:
    """A row of a table as the graph made it."""
    finished = DuckDBWarehouse(finished_home.warehouse_file)
    found = {}
    for name, model in MODELS.items():
        with finished.ibis_table(name, dataset_of(model)) as table:
            found[name] = table.limit(1).to_pyarrow().to_pylist()[0]
    return found.__getitem__


@pytest.fixture
def failures(warehouse) -> Callable[..., list[Failure]]:
    """What breaks a table's model when it holds these rows (and has these columns)."""

    def evaluate(name: str, rows: list[dict], schema: pa.Schema | None = None) -> list[Failure]:
        schema = schema or schemas.arrow_schema(MODELS[name])
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
        warehouse.replace(name, schema, [batch])
        with warehouse.ibis_table(name) as table:
            return schema_failures(MODELS[name], table)

    return evaluate


def dataset_of(model: type[schemas.Table]) -> str:
    return SOURCE_DATASET if model in schemas.SOURCES else OUR_DATASET


def several(row: dict, name: str, count: int) -> list[dict]:
    """The same row under different keys."""
    (key,) = schemas.key(MODELS[name])
    value = (lambda n: f"seg_{n}") if isinstance(row[key], str) else (lambda n: n)
    return [row | {key: value(number + 1)} for number in range(count)]


def types_of(name: str) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in schemas.arrow_schema(MODELS[name])}


def rules(found: list[Failure]) -> set[str]:
    return {failure.rule for failure in found}


class TestSchema:
    def test_every_table_of_the_graph_has_a_blocking_check(self):
        specs = [spec for check in build_checks() for spec in check.check_specs]
        found = {(spec.asset_key.to_user_string(), spec.name) for spec in specs}
        assert found == {(name, "schema") for name in MODELS} | {
            (table, claim) for claim, table in (CLAIMS | WARNINGS).items()
        }
        assert {spec.name for spec in specs if not spec.blocking} == {*WARNINGS}

    def test_every_bound_has_a_case_here(self):
        for name, model in MODELS.items():
            bounded = {column for column, spec in schemas.columns(model).items() if spec.checks}
            assert bounded == set(REFUSED[name]), name

    @every_table
    def test_a_finished_table_passes(self, finished_home, table):
        finished = DuckDBWarehouse(finished_home.warehouse_file)
        with finished.ibis_table(table, dataset_of(MODELS[table])) as found:
            assert found.count().execute() > 0
            assert schema_failures(MODELS[table], found) == []

    @every_table
    def test_an_empty_table_passes(self, failures, table):
        assert failures(table, []) == []

    @every_table
    def test_missing_columns_are_each_named(self, failures, good_row, table):
        first, *others = types_of(table).items()
        found = failures(table, [good_row(table)], pa.schema([first]))
        assert rules(found) == {f"column '{column}' not found" for column, _ in others}
        assert {(failure.count, len(failure.rows)) for failure in found} == {(0, 0)}

    @every_table
    def test_extra_columns_are_all_named(self, failures, good_row, table):
        schema = pa.schema({**types_of(table), "note": pa.string(), "more": pa.int64()})
        assert failures(table, [good_row(table)], schema) == [
            Failure("column 'note', 'more' not declared", 0, [])
        ]

    def test_a_missing_and_an_extra_column_are_told_together(self, failures, good_row):
        types = types_of("products")
        schema = pa.schema({"id": types["id"], "title": pa.string()})
        assert rules(failures("products", [good_row("products")], schema)) == {
            "column 'name' not found",
            "column 'title' not declared",
        }

    @every_table
    def test_wrong_types_are_each_named_even_in_an_empty_table(self, failures, table):
        types = types_of(table)
        plain = [column for column, kind in types.items() if not pa.types.is_list(kind)]
        other = {
            column: pa.int64() if types[column] == pa.string() else pa.string()
            for column in plain
        }
        found = failures(table, [], pa.schema({**types, **other}))
        named = {rule.split("'")[1]: rule for rule in rules(found)}
        assert named.keys() == set(plain)
        for column, rule in named.items():
            assert rule.startswith(f"expected column '{column}' to have type ")
            assert rule.endswith(", got int64" if other[column] == pa.int64() else ", got string")

    @pytest.mark.parametrize(
        ("table", "column", "kind"),
        [
            ("emails", "user_id", pa.int32()),
            ("emails", "written_at", pa.timestamp("us")),
            ("emails", "as_of", pa.timestamp("us", tz="UTC")),
            ("events", "created_at", pa.date32()),
            ("parametric", "total_orders", pa.decimal128(38, 0)),
            ("parametric", "total_revenue", pa.float32()),
            ("parametric", "top_products_user", pa.list_(pa.int64())),
            ("parametric", "top_products_user", pa.string()),
            ("final_prompts", "country", pa.list_(pa.string())),
            ("final_prompts", "country", pa.struct({"name": pa.string()})),
            ("cluster_metrics", "chosen", pa.int64()),
        ],
        ids=str,
    )
    def test_a_type_that_is_nearly_right_is_wrong(self, failures, table, column, kind):
        (found,) = failures(table, [], pa.schema({**types_of(table), column: kind}))
        assert found.rule.startswith(f"expected column '{column}' to have type ")

    @every_keyed_table
    def test_null_is_refused_in_each_column_that_needs_a_value(self, failures, good_row, table):
        required = [
            column for column, spec in schemas.columns(MODELS[table]).items() if not spec.nullable
        ]
        keys = schemas.key(MODELS[table])
        nothing = dict.fromkeys([column for column in required if column not in keys])
        rows = several(good_row(table), table, 7)
        found = failures(table, [row | nothing for row in rows[:6]] + rows[6:])
        assert {failure.rule.split(" is never NULL")[0] for failure in found} == set(nothing)
        for failure in found:
            assert (failure.count, len(failure.rows)) == (6, 5)
            assert set(failure.rows[0]) == {*keys, failure.rule.split()[0]}

    @every_keyed_table
    def test_null_passes_in_every_other_column(self, failures, good_row, table):
        nothing = {
            column: None
            for column, spec in schemas.columns(MODELS[table]).items()
            if spec.nullable
        }
        assert failures(table, [row | nothing for row in several(good_row(table), table, 2)]) == []

    @every_keyed_table
    def test_a_key_is_never_null(self, failures, good_row, table):
        (key,) = schemas.key(MODELS[table])
        found = failures(table, [good_row(table) | {key: None}])
        assert found == [Failure(f"{key} is never NULL", 1, [{key: None}])]

    def test_nan_counts_as_null(self, failures, good_row):
        rows = several(good_row("parametric"), "parametric", 9)
        for row in rows[:7]:
            row["total_revenue"] = math.nan
        rows[7]["total_revenue"] = None
        (found,) = failures("parametric", rows)
        assert (found.rule, found.count) == ("total_revenue is never NULL or NaN", 8)
        assert len(found.rows) == 5

    @every_keyed_table
    def test_a_key_stands_once(self, failures, good_row, table):
        (key,) = schemas.key(MODELS[table])
        rows = several(good_row(table), table, 9)
        thrice = [rows[0]] * 2
        twice = rows[1:7]
        (found,) = failures(table, [*rows, *thrice, *twice])
        assert (found.rule, found.count) == (f"{key} is unique", 15)
        assert len(found.rows) == 5
        shown = {row[key]: row["rows"] for row in found.rows}
        assert len(shown) == 5
        assert all(shown[k] == (3 if k == rows[0][key] else 2) for k in shown)

    @pytest.mark.parametrize("table", [table for table, columns in REFUSED.items() if columns])
    def test_every_bound_is_kept(self, failures, good_row, table):
        (key,) = schemas.key(MODELS[table])
        bad = {
            # A key stands once; of other values there are more than are shown.
            column: values if column == key else [*islice(cycle(values), max(7, len(values)))]
            for column, values in REFUSED[table].items()
        }
        broken = [(column, value) for column, values in bad.items() for value in values]
        rows = several(good_row(table), table, 9 + len(broken))
        for row, (column, value) in zip(rows[9:], broken, strict=True):
            row[column] = value

        found = failures(table, rows)

        counts = Counter()
        for failure in found:
            column = failure.rule.split(":")[0]
            counts[column] += failure.count
            assert len(failure.rows) == min(failure.count, 5)
            for row in failure.rows:
                assert row.keys() == {key, column}
                assert repr(row[column]) in map(repr, as_stored(bad[column], table, column))
        # A column with two bounds has two rules; what breaks one of them keeps the other.
        assert counts == {column: len(values) for column, values in bad.items()}

    @pytest.mark.parametrize("table", ACCEPTED)
    def test_what_is_within_the_bounds_passes(self, failures, good_row, table):
        values = [(column, v) for column, found in ACCEPTED[table].items() for v in found]
        rows = several(good_row(table), table, 100 + len(values))[100:]
        for row, (column, value) in zip(rows, values, strict=True):
            row[column] = value
        assert failures(table, rows) == []

    def test_all_rules_that_break_are_told_at_once(self, failures, good_row):
        row = good_row("emails") | {"language": "it", "subject": "", "writer": None}
        found = failures("emails", [row])
        assert {rule.split(":")[0] for rule in rules(found)} == {
            "language", "subject", "writer is never NULL",
        }  # fmt: skip


def as_stored(values: list, table: str, column: str) -> list:
    """The values as the table gives them back."""
    return [*map(float, values)] if types_of(table)[column] == pa.float64() else values


OTHER_LANGUAGE = {language: "en" for language in LANGUAGES} | {"en": "de"}

# claim, what is done to a finished home, rows that break the claim then
SEVEN = "(SELECT user_id FROM persona.{} ORDER BY user_id LIMIT 7)"
BUYER = "(SELECT MIN(user_id) FROM persona.parametric WHERE total_orders > 0)"
PROSPECT = "(SELECT MIN(user_id) FROM persona.parametric WHERE total_orders = 0)"
BREAKS = {
    "every_customer_is_in_exactly_one_segment": {
        "in no segment": (
            f"DELETE FROM persona.customer_segments WHERE user_id IN {SEVEN.format('parametric')}",
            7,
        ),
        "segment is NULL": (
            f"UPDATE persona.customer_segments SET segment = NULL WHERE user_id = {BUYER}",
            1,
        ),
        "in two segments": (
            "INSERT INTO persona.customer_segments SELECT user_id, 'seg_2', segmentation_run "
            f"FROM persona.customer_segments WHERE user_id = {BUYER}",
            2,
        ),
        "never fitted": (
            f"UPDATE persona.customer_segments SET segment = 'seg_99' WHERE user_id = {BUYER}",
            1,
        ),
        "buyer taken for a prospect": (
            f"UPDATE persona.customer_segments SET segment = 'prospects' WHERE user_id = {BUYER}",
            1,
        ),
        "prospect taken for a buyer": (
            f"UPDATE persona.customer_segments SET segment = 'seg_1' WHERE user_id = {PROSPECT}",
            1,
        ),
    },
    "every_segment_is_labelled": {
        "label lost": ("DELETE FROM persona.segment_labels WHERE segment = 'seg_2'", 1),
        "prospects unlabelled": (
            "DELETE FROM persona.segment_labels WHERE segment = 'prospects'",
            1,
        ),
        "label blank": (
            "UPDATE persona.segment_labels SET segment_label = '  ' WHERE segment = 'seg_1'",
            1,
        ),
        "label NULL": (
            "UPDATE persona.segment_labels SET segment_label = NULL "
            "WHERE segment IN ('seg_1', 'prospects')",
            2,
        ),
        "seven segments more": (
            "INSERT INTO persona.centroids (segment) "
            "SELECT 'seg_' || number FROM RANGE(50, 57) AS more (number)",
            7,
        ),
    },
    "segment_labels_are_distinct": {
        "same label": ("UPDATE persona.segment_labels SET segment_label = 'Patrons'", 1),
        "same but for case and spaces": (
            "UPDATE persona.segment_labels SET segment_label = "
            "CASE segment WHEN 'seg_1' THEN 'Patrons' ELSE ' patrons ' END "
            "WHERE segment IN ('seg_1', 'prospects')",
            1,
        ),
    },
    "labels_agree_with_centroids": {
        "dormant customers called recent": (
            "UPDATE persona.segment_labels SET segment_label = 'Recent ' || segment "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY months_since_last_order DESC LIMIT 1)",
            1,
        ),
        "recent customers called dormant": (
            "UPDATE persona.segment_labels SET segment_label = 'The dormant' "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY months_since_last_order LIMIT 1)",
            1,
        ),
        "prospects called high-value and recent": (
            "UPDATE persona.segment_labels SET segment_label = 'Recent high-value people' "
            "WHERE segment = 'prospects'",
            1,
        ),
        "prospects called buyers": (
            "UPDATE persona.segment_labels SET segment_label = 'Future buyers' "
            "WHERE segment = 'prospects'",
            1,
        ),
        "those who spend least called VIP": (
            "UPDATE persona.segment_labels SET segment_label = 'VIP' "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY total_revenue LIMIT 1)",
            1,
        ),
        "those who spend most called low-value": (
            "UPDATE persona.segment_labels SET segment_label = 'Low-value' "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY total_revenue DESC LIMIT 1)",
            1,
        ),
        "those who ordered once called loyal": (
            "UPDATE persona.segment_labels SET segment_label = 'Loyal ones' "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY total_orders LIMIT 1)",
            1,
        ),
        "dormant customers called new": (
            "UPDATE persona.segment_labels SET segment_label = 'New faces' "
            "WHERE segment IN (SELECT segment FROM persona.centroids "
            "ORDER BY months_since_last_order DESC LIMIT 1)",
            1,
        ),
    },
    "no_prompt_holds_an_address": {
        "address": (
            "UPDATE persona.final_prompts SET prompt = prompt || email "
            f"WHERE user_id IN {SEVEN.format('final_prompts')}",
            7,
        ),
        "address in capitals": (
            "UPDATE persona.final_prompts SET prompt = upper(email) || prompt "
            f"WHERE user_id = {BUYER}",
            1,
        ),
    },
    "no_suppressed_customer_has_a_prompt": {
        "by id": (
            "INSERT INTO persona.suppression_list SELECT user_id, NULL, 'bounced', NULL "
            f"FROM persona.final_prompts WHERE user_id IN {SEVEN.format('final_prompts')}",
            7,
        ),
        "by address": (
            "INSERT INTO persona.suppression_list SELECT NULL, lower(email), 'bounced', NULL "
            f"FROM persona.final_prompts WHERE user_id = {BUYER}",
            1,
        ),
        "by both, twice": (
            "INSERT INTO persona.suppression_list SELECT user_id, upper(email), 'bounced', NULL "
            f"FROM persona.final_prompts, RANGE(2) WHERE user_id = {BUYER}",
            1,
        ),
    },
    "every_address_has_one_prompt": {
        "in other letters": (
            "INSERT INTO persona.final_prompts SELECT * REPLACE (-user_id AS user_id, "
            "upper(email) AS email) FROM persona.final_prompts "
            f"WHERE user_id IN {SEVEN.format('final_prompts')}",
            7,
        ),
    },
    "every_customer_gets_one_email": {
        "one more in another language": (
            "INSERT INTO persona.emails SELECT * REPLACE "
            "(CASE language WHEN 'en' THEN 'de' ELSE 'en' END AS language) FROM persona.emails "
            f"WHERE user_id IN {SEVEN.format('emails')}",
            7,
        ),
        "twice in the same language": (
            f"INSERT INTO persona.emails SELECT * FROM persona.emails WHERE user_id = {BUYER}",
            1,
        ),
    },
    "every_email_traces_to_its_source": {
        "prompt changed": (
            "UPDATE persona.final_prompts SET prompt_hash = repeat('0', 64) "
            f"WHERE user_id IN {SEVEN.format('emails')}",
            7,
        ),
        "prompt lost": (f"DELETE FROM persona.final_prompts WHERE user_id = {BUYER}", 1),
        "draft never written": (
            f"UPDATE persona.emails SET writer = 'nobody' WHERE user_id = {BUYER}",
            1,
        ),
        "attempt never made": (
            f"UPDATE persona.emails SET attempt = 9 WHERE user_id = {BUYER}",
            1,
        ),
        "customer deleted": (
            f"DELETE FROM thelook_ecommerce.users WHERE id = {BUYER}",
            1,
        ),
        "segment changed": (
            f"UPDATE persona.emails SET segment = 'seg_99' WHERE user_id = {BUYER}",
            1,
        ),
        "other segmentation": (
            f"UPDATE persona.emails SET segmentation_run = 'other' WHERE user_id = {BUYER}",
            1,
        ),
        "no segmentation": (
            f"UPDATE persona.emails SET segmentation_run = NULL WHERE user_id = {BUYER}",
            1,
        ),
    },
    "every_email_is_in_its_language": {
        "prompt of another language": (
            "UPDATE persona.final_prompts SET language = "
            "CASE language WHEN 'en' THEN 'de' ELSE 'en' END "
            f"WHERE user_id IN {SEVEN.format('emails')}",
            7,
        ),
        "no prompt": (f"DELETE FROM persona.final_prompts WHERE user_id = {BUYER}", 1),
        "another script": (
            "UPDATE persona.emails SET marketing_email = 'Здравствуйте' "
            f"WHERE user_id = {BUYER}",
            1,
        ),
    },
}
CASES = [(claim, case) for claim, cases in BREAKS.items() for case in cases]


def change(settings, *statements: str) -> DuckDBWarehouse:
    """Break a home by hand."""
    found = DuckDBWarehouse(settings.warehouse_file, wait_seconds=5)
    with found.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return found


def claim_breaks(warehouse, claim: str, language: str | None = None) -> list[Failure]:
    return claim_failures(warehouse, read_query(f"checks/{claim}"), {"language": language})


class TestClaims:
    def test_every_claim_has_a_case_here(self):
        assert BREAKS.keys() == CLAIMS.keys()

    @pytest.mark.parametrize("claim", CLAIMS)
    def test_a_finished_home_keeps_it(self, finished_home, claim):
        finished = DuckDBWarehouse(finished_home.warehouse_file)
        assert claim_breaks(finished, claim) == []

    def test_empty_tables_keep_them(self, warehouse):
        for model in (*OURS, schemas.drafts):
            warehouse.replace(model.__name__, schemas.arrow_schema(model), [])
        warehouse.load({"users": "SELECT 1 AS id LIMIT 0"})
        broken = [claim for claim in CLAIMS if claim_breaks(warehouse, claim)]
        # Prospects are expected whether there are any or not.
        assert broken == ["every_segment_is_labelled"]

    @pytest.mark.parametrize(("claim", "case"), CASES)
    def test_what_breaks_it_is_named_counted_and_shown(self, home, claim, case):
        statement, count = BREAKS[claim][case]
        (found,) = claim_breaks(change(home, statement), claim)
        assert (found.rule, found.count, len(found.rows)) == (claim, count, min(count, 5))

    def test_a_draft_that_was_rejected_since_breaks_the_trace_of_all_its_emails(self, home):
        broken = change(
            home,
            "UPDATE persona.drafts SET status = 'rejected' WHERE prompt_hash = "
            "(SELECT mode(prompt_hash) FROM persona.emails)",
        )
        with broken.connect() as connection:
            (sharing,) = connection.execute(
                "SELECT COUNT(*) FROM persona.emails WHERE prompt_hash = "
                "(SELECT mode(prompt_hash) FROM persona.emails)"
            ).fetchone()
        (found,) = claim_breaks(broken, "every_email_traces_to_its_source")
        assert found.count == sharing > 1
        assert all(row["without_draft"] and not row["without_prompt"] for row in found.rows)

    @pytest.mark.parametrize(
        "claim", ["every_email_traces_to_its_source", "every_email_is_in_its_language"]
    )
    def test_a_partition_is_judged_by_its_own_emails(self, home, claim):
        broken = change(
            home,
            "DELETE FROM persona.final_prompts WHERE user_id = "
            "(SELECT MIN(user_id) FROM persona.emails WHERE language = 'fr')",
        )
        assert [failure.count for failure in claim_breaks(broken, claim, "fr")] == [1]
        assert [failure.count for failure in claim_breaks(broken, claim)] == [1]
        assert claim_breaks(broken, claim, "de") == []

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_a_text_in_another_language_is_found(self, home, language):
        broken = change(
            home,
            "UPDATE persona.emails SET marketing_email = (SELECT MIN(marketing_email) FROM "
            f"persona.emails WHERE language = '{OTHER_LANGUAGE[language]}') "
            f"WHERE user_id = (SELECT MIN(user_id) FROM persona.emails "
            f"WHERE language = '{language}')",
        )
        (found,) = claim_breaks(broken, "every_email_is_in_its_language", language)
        assert (found.count, found.rows[0]["language"]) == (1, language)

    @pytest.mark.parametrize(
        ("language", "text"),
        [
            ("ar", "عربي"), ("de", "Für Sie."), ("en", "See the shop."), ("es", "Lo que ves."),
            ("fr", "Chez vous."), ("ja", "ことば"), ("ko", "한국"), ("pt", "Só você"),
            ("zh", "四个汉字"),
        ],
    )  # fmt: skip
    def test_a_short_text_in_its_language_is_enough(self, home, language, text):
        fine = change(
            home,
            f"UPDATE persona.emails SET marketing_email = '{text}' WHERE language = '{language}'",
        )
        assert claim_breaks(fine, "every_email_is_in_its_language") == []

    def test_a_chinese_subject_may_name_a_japanese_product(self, home):
        fine = change(
            home,
            "UPDATE persona.emails SET subject = 'きもの，为您' WHERE language = 'zh'",
        )
        assert claim_breaks(fine, "every_email_is_in_its_language", "zh") == []


class Tampered(DuckDBWarehouse):
    """A warehouse where a table is broken as soon as it is made."""

    def __init__(self, path, table: str, *statements: str) -> None:
        super().__init__(path, wait_seconds=5)
        self.table, self.statements = table, statements

    def create(self, table, query, parameters):
        receipt = super().create(table, query, parameters)
        if table == self.table:
            with self.connect() as connection:
                for statement in self.statements:
                    connection.execute(statement)
        return receipt


def materialize(settings, selected: list[str], *statements: str) -> dg.ExecuteInProcessResult:
    """Make the selected assets again; the first is broken before it is checked."""
    tampered = Tampered(settings.warehouse_file, selected[0], *statements)
    job = build_defs(settings, warehouse=tampered).resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in selected],
            raise_on_error=False,
        )


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    events = result.get_asset_materialization_events()
    return {event.asset_key.to_user_string() for event in events}


class TestThroughDagster:
    def test_a_broken_claim_stops_what_is_downstream(self, home):
        statement = "DELETE FROM persona.customer_segments WHERE user_id % 2 = 0"
        result = materialize(home, ["customer_segments", "final_prompts"], statement)
        failed = {e.check_name for e in result.get_asset_check_evaluations() if not e.passed}
        assert not result.success
        assert failed == {"every_customer_is_in_exactly_one_segment"}
        assert made(result) == {"customer_segments"}

    def test_a_broken_schema_stops_what_is_downstream(self, home):
        statement = "ALTER TABLE persona.customer_segments ADD COLUMN note VARCHAR"
        result = materialize(home, ["customer_segments", "final_prompts"], statement)
        (failed,) = [e for e in result.get_asset_check_evaluations() if not e.passed]
        assert not result.success
        assert (failed.check_name, failed.description) == (
            "schema",
            "column 'note' not declared",
        )
        assert made(result) == {"customer_segments"}

    def test_without_a_break_everything_is_made(self, home):
        result = materialize(home, ["customer_segments", "final_prompts"])
        assert result.success
        assert made(result) == {"customer_segments", "final_prompts"}
        assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
        assert len(result.get_asset_check_evaluations()) == 7

    def test_addresses_are_masked_wherever_a_failure_is_told(self, home):
        result = materialize(
            home,
            ["final_prompts"],
            "UPDATE persona.final_prompts SET email = 'maria.lopez@shop.example x', "
            "prompt = 'maria.lopez@shop.example x', prompt_hash = 'maria.lopez@shop.example' "
            f"WHERE user_id IN {SEVEN.format('final_prompts')}",
        )
        told = {e.check_name: e for e in result.get_asset_check_evaluations() if not e.passed}
        assert told.keys() == {
            "schema", "no_prompt_holds_an_address", "every_address_has_one_prompt"
        }  # fmt: skip
        pattern = r"email: str_matches('^[^@\s]+@[^@\s]+$')"
        assert f"{pattern}: broken by 7 row(s)" in told["schema"].description
        shown = told["schema"].metadata[pattern].value
        assert shown.startswith("7 row(s)\n\n")
        assert shown.count("m…@shop.example x") == 5
        for evaluation in told.values():
            values = [value.value for value in evaluation.metadata.values()]
            assert "maria.lopez" not in evaluation.description + "".join(map(str, values))

    def test_a_check_of_a_partition_says_which_and_sees_no_other(self, home):
        change(
            home,
            "UPDATE persona.emails SET subject = '' WHERE user_id = "
            "(SELECT MIN(user_id) FROM persona.emails WHERE language = 'de')",
        )
        job = build_defs(home).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("emails")],
                partition_key="fr",
            )
        evaluations = result.get_asset_check_evaluations()
        assert {evaluation.metadata["partition"].value for evaluation in evaluations} == {"fr"}
        assert len(evaluations) == 4
        assert all(evaluation.passed for evaluation in evaluations)

    def test_a_run_of_one_language_checks_the_tables_before_the_emails_as_a_whole(self, home):
        job = build_defs(home).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("final_prompts"), dg.AssetKey("emails")],
                partition_key="fr",
            )
        checked = {
            (evaluation.asset_key.to_user_string(), "partition" in evaluation.metadata)
            for evaluation in result.get_asset_check_evaluations()
        }
        assert checked == {("final_prompts", False), ("emails", True)}
