"""Promises of the sample shop."""

import datetime
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from persona_assets.sample import generate, shop, write
from persona_assets.sample.countries import COUNTRIES, LANGUAGES
from persona_assets.sample.schema import SCHEMAS

UNTIL = datetime.date(2025, 1, 31)
END = pd.Timestamp("2025-02-01", tz="UTC")
KEYS = {"users": "id", "orders": "order_id", "order_items": "id", "products": "id", "events": "id"}


@pytest.fixture(scope="module")
def tables():
    return generate(10_000)


@pytest.fixture(scope="module")
def frames(tables):
    return {name: table.to_pandas() for name, table in tables.items()}


def _digest_of_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_seed_gives_the_same_shop(tables):
    again = generate(10_000, seed=7, until=UNTIL)
    assert all(again[name].equals(tables[name]) for name in KEYS)


def test_another_seed_gives_another_shop():
    one, other = generate(300, seed=1), generate(300, seed=2)
    assert not any(one[name].equals(other[name]) for name in KEYS)


def test_hash_randomisation_does_not_change_the_files(tmp_path):
    code = "import sys, persona_assets.sample as s; s.write(sys.argv[1], 300)"
    root = str(Path(shop.__file__).parents[2])
    for number in ("1", "2"):
        subprocess.run([sys.executable, "-c", code, str(tmp_path / number)], check=True,
                       env={**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": root})
    assert _digest_of_files(tmp_path / "1") == _digest_of_files(tmp_path / "2")


def test_tables_have_the_columns_of_the_public_data_set(tables):
    assert {name: table.schema for name, table in tables.items()} == SCHEMAS


@pytest.mark.parametrize("size", [1, 3, 100])
def test_small_shops_are_whole(size):
    tables = {name: table.to_pandas() for name, table in generate(size).items()}
    assert len(tables["users"]) == size
    assert len(tables["products"]) >= 60
    assert len(tables["events"]) > 0
    lines = tables["order_items"].groupby("order_id").size()
    counted = tables["orders"].set_index("order_id").num_of_item
    assert counted.sub(lines, fill_value=0).eq(0).all()


def test_every_small_seed_works():
    assert sum(len(generate(1, seed=seed)["orders"]) for seed in range(12)) > 0


@pytest.mark.parametrize("arguments", [
    {"customers": 0}, {"customers": -5}, {"seed": -1}, {"until": "2025-01-31"},
    {"until": datetime.datetime(2025, 1, 31)},
])
def test_bad_arguments_are_refused_with_one_sentence(arguments):
    with pytest.raises(ValueError, match=r"^[A-Z].*\.$"):
        generate(**arguments)


def test_keys_count_from_one_and_are_unique(frames):
    for name, key in KEYS.items():
        assert sorted(frames[name][key]) == list(range(1, len(frames[name]) + 1))
    assert frames["order_items"].inventory_item_id.is_unique
    events = frames["events"]
    assert not events.duplicated(["session_id", "sequence_number"]).any()
    assert events.groupby("session_id").user_id.nunique(dropna=False).max() == 1


def test_foreign_keys_lead_somewhere(frames):
    users, orders, lines = frames["users"], frames["orders"], frames["order_items"]
    assert orders.user_id.isin(users.id).all()
    assert lines.product_id.dropna().isin(frames["products"].id).all()
    assert frames["events"].user_id.dropna().isin(users.id).all()
    joined = lines.merge(orders, on="order_id", suffixes=("", "_of_order"))
    assert len(joined) == len(lines)
    for column in ("user_id", "status", "created_at"):
        assert joined[column].equals(joined[f"{column}_of_order"])
    gender = orders.user_id.map(users.set_index("id").gender)
    assert (gender == orders.gender).all()


@pytest.mark.parametrize("size", [100, 200])
@pytest.mark.parametrize("seed", [0, 7, 99])
def test_all_nine_languages_have_customers(size, seed):
    language = {country: code for country, _, code, _ in COUNTRIES}
    present = generate(size, seed)["users"]["country"].to_pylist()
    assert {language[country] for country in present} == set(LANGUAGES)


def test_every_language_has_its_share():
    share = Counter()
    for _, percent, code, _ in COUNTRIES:
        share[code] += percent
    assert sum(share.values()) == pytest.approx(100)
    assert min(share.values()) >= 5
    assert share.most_common(1)[0][0] == "en"


def test_a_fifth_of_the_customers_never_buys(frames):
    buyers = frames["orders"].user_id.nunique() / len(frames["users"])
    assert buyers == pytest.approx(0.8, abs=0.01)


def test_orders_per_buyer_have_a_heavy_tail(frames):
    counts = frames["orders"].user_id.value_counts()
    assert 1.9 < counts.mean() < 2.5
    assert counts.median() == 1
    assert 30 <= counts.max() <= 80


def test_baskets_have_a_heavy_tail(frames):
    lines = frames["order_items"]
    assert 1.35 < frames["orders"].num_of_item.mean() < 1.65
    value = lines.groupby("order_id").sale_price.sum()
    assert value.quantile(0.999) > 20 * value.median()


def test_every_status_has_its_share(frames):
    share = frames["orders"].status.value_counts(normalize=True)
    bounds = {"Complete": (0.25, 0.35), "Shipped": (0.27, 0.33), "Processing": (0.15, 0.20),
              "Cancelled": (0.12, 0.15), "Returned": (0.08, 0.10)}
    assert set(share.index) == set(bounds)
    for status, (low, high) in bounds.items():
        assert low < share[status] < high, status


@pytest.mark.parametrize("size", [1_000, 10_000])
def test_nothing_happens_after_the_last_day_and_it_has_an_order(size, frames):
    shop_ = frames if size == 10_000 else {
        name: table.to_pandas() for name, table in generate(size).items()}
    first = END - pd.Timedelta(days=1_097)
    for frame in shop_.values():
        for column in frame.filter(like="_at"):
            assert frame[column].dropna().between(first, END, inclusive="left").all()
    assert shop_["orders"].created_at.max() >= END - pd.Timedelta(days=1)


def test_the_last_day_is_the_callers(tmp_path):
    orders = generate(1_000, until=datetime.date(2024, 2, 29))["orders"].to_pandas()
    assert orders.created_at.max().date() == datetime.date(2024, 2, 29)


def test_an_order_goes_through_its_states_in_time(frames):
    orders = frames["orders"]
    reached = {"shipped_at": ("Shipped", "Complete", "Returned"),
               "delivered_at": ("Complete", "Returned"), "returned_at": ("Returned",)}
    before = "created_at"
    for column, statuses in reached.items():
        assert (orders[column].notna() == orders.status.isin(statuses)).all()
        done = orders[orders[column].notna()]
        assert (done[column] > done[before]).all()
        before = column


def test_customers_sign_up_before_they_order(frames):
    joined = frames["orders"].user_id.map(frames["users"].set_index("id").created_at)
    assert (joined < frames["orders"].created_at).all()


def test_num_of_item_counts_the_lines_and_some_orders_have_none(frames):
    orders = frames["orders"].set_index("order_id")
    lines = frames["order_items"].groupby("order_id").size().reindex(orders.index, fill_value=0)
    assert (orders.num_of_item == lines).all()
    assert 0 < (lines == 0).mean() < 0.002


def test_a_session_goes_on_in_time_and_ends_where_it_should(frames):
    events = frames["events"].sort_values(["session_id", "sequence_number"])
    sessions = events.groupby("session_id")
    assert (sessions.sequence_number.max() == sessions.size()).all()
    gaps = sessions.created_at.diff().dropna()
    assert pd.Timedelta(0) < gaps.min() and gaps.median() < pd.Timedelta(minutes=3)
    assert (sessions.event_type.first() == "home").all()
    after = events.event_type.shift(-1).where(events.session_id == events.session_id.shift(-1))
    assert (after[events.event_type == "cart"].dropna() == "purchase").all()
    assert after[events.event_type.isin(["purchase", "cancel"])].isna().all()
    before = events.event_type.shift()
    assert (before[events.event_type == "purchase"] == "cart").all()
    assert (before[events.event_type == "cart"] == "product").all()
    assert {"home", "department", "product", "cart"} <= set(sessions.event_type.last())


def test_purchases_and_cancellations_belong_to_orders(frames):
    events, orders = frames["events"], frames["orders"]
    bought = events[events.event_type == "purchase"].merge(
        orders, on=["user_id", "created_at"], how="left")
    assert bought.order_id.notna().all()
    cancelled = events[events.event_type == "cancel"].user_id
    assert len(cancelled) and cancelled.isin(orders[orders.status == "Cancelled"].user_id).all()


def test_uris_are_pages_of_the_shop(frames):
    events, products = frames["events"], frames["products"]
    of_products = events[events.event_type == "product"].uri
    assert set(of_products.str.extract(r"^/product/(\d+)$")[0].astype(int)) <= set(products.id)
    of_departments = events[events.event_type == "department"].uri
    assert of_departments.str.fullmatch(r"/department/(men|women)/[a-z]+(-[a-z]+)*").all()
    rest = events[~events.event_type.isin(["product", "department"])]
    assert (rest.uri == "/" + rest.event_type).all()


def test_events_are_partly_anonymous_and_some_customers_have_none(frames):
    events = frames["events"]
    assert 0.15 < events.user_id.isna().mean() < 0.20
    assert 22 < len(events) / len(frames["users"]) < 26
    assert 0.05 < 1 - events.user_id.nunique() / len(frames["users"]) < 0.25


def test_the_oddities_of_real_shops_are_there(frames):
    users, products = frames["users"], frames["products"]
    assert users.email.isna().sum() == 30
    assert users.email.dropna().duplicated().sum() == pytest.approx(50, abs=3)
    assert users.first_name.isna().sum() + (users.first_name == "").sum() == 30
    assert products.name.isna().sum() == 1 and (products.name == "").sum() == 1
    assert 0.001 < frames["order_items"].product_id.isna().mean() < 0.003
    assert {"Deutschland", "España", "Poland", "Italy"} <= set(users.country)


def test_addresses_are_ascii_and_reach_nobody(frames):
    emails = frames["users"].email.dropna()
    assert emails.str.fullmatch(r"[a-z]+\.[a-z]+\d*@example\.(com|org|net)").all()


def test_customers_have_names_in_their_own_script(frames):
    users = frames["users"]
    users = users[users.first_name.fillna("") != ""]
    script = {"Japan": r"[\u3040-\u30ff\u3005\u4e00-\u9fff]+", "South Korea": r"[\uac00-\ud7a3]+",
              "China": r"[\u4e00-\u9fff]+", "Egypt": r"[\u0600-\u06ff]+"}
    for country, letters in script.items():
        theirs = users[users.country == country]
        for column in ("first_name", "last_name"):
            assert theirs[column].str.fullmatch(letters).all(), country
    western = users[users.country.isin(["France", "United States", "Brasil", "Germany"])]
    assert western.first_name.str.fullmatch(r"[^\W\d_]+( [^\W\d_]+)?").all()
    assert users.groupby("country").first_name.nunique()["Germany"] > 50


def test_product_names_are_believable(frames):
    products = frames["products"]
    names = products.name[products.name.fillna("") != ""]
    assert names.is_unique
    for name in names:
        said = re.findall(r"[^\W\d_]{2,}", name.lower())
        assert len(said) == len(set(said)), name
        assert re.fullmatch(r"[A-Z][\w&'() /-]+", name) and "  " not in name, name
    branded = products.loc[names.index]
    assert all(n.startswith(f"{b} ") for n, b in zip(branded.name, branded.brand, strict=True))


def test_prices_fit_the_goods(frames):
    products, lines = frames["products"], frames["order_items"]
    assert (products.cost < products.retail_price).all()
    median = products.groupby("category").retail_price.median()
    assert median["Socks"] < median["Tops & Tees"] < median["Jeans"] < median["Outerwear & Coats"]
    retail = lines.product_id.map(products.set_index("id").retail_price)
    known = retail.notna()
    assert (lines.sale_price[known] <= retail[known]).all() and (lines.sale_price > 0).all()


def test_customers_mostly_buy_for_their_gender_and_like_some_products_more(frames):
    lines = frames["order_items"].merge(frames["products"], left_on="product_id", right_on="id")
    gender = lines.user_id.map(frames["users"].set_index("id").gender)
    assert 0.8 < ((gender == "M") == (lines.department == "Men")).mean() < 0.92
    sold = np.sort(lines.product_id.value_counts().to_numpy())[::-1]
    assert sold[:20].sum() > 0.1 * sold.sum()
    assert sold[0] < 0.05 * sold.sum()


def test_written_files_hold_the_generated_tables(tmp_path):
    folder = write(tmp_path / "deep" / "shop", 200, 3, UNTIL)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{n}.parquet" for n in KEYS)
    for name, table in generate(200, 3, UNTIL).items():
        assert pq.read_table(folder / f"{name}.parquet").equals(table)
    assert [path.name for path in folder.parent.iterdir()] == ["shop"]


def test_write_refuses_a_folder_that_is_there(tmp_path):
    with pytest.raises(FileExistsError):
        write(tmp_path, 10)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    whole = shop._write_table

    def fails_late(name, table, folder):
        if name == "products":
            raise OSError("disk full")
        whole(name, table, folder)

    monkeypatch.setattr(shop, "_write_table", fails_late)
    with pytest.raises(OSError, match="disk full"):
        write(tmp_path / "shop", 50)
    assert not list(tmp_path.iterdir())
