"""The segmentation against the usual way with scikit-learn, side by side in one run.

The usual way: for each k, KMeans with ten starts on all customers, then silhouette_score,
calinski_harabasz_score and davies_bouldin_score, the silhouette on all customers (full) or on
1,000 drawn anew for each k (sampled). Prints a table and writes bench.json to the home.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
from figures import figures, peak_mb
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.preprocessing import StandardScaler

from persona_assets import sample
from persona_assets.assets.segmentation import FITTED_CUSTOMERS
from persona_assets.languages import countries
from persona_assets.segmentation import (
    FEATURES,
    NUMBERS,
    choose_k,
    fit_segments,
    hash_cutoff,
    model_parameters,
    model_rows,
    prepare,
)
from persona_assets.segmentation.fit import polish
from persona_assets.source import inspect_source
from persona_assets.warehouse import DuckDBWarehouse, read_query

CUSTOMERS = 100_000
SEEDS = 20
TEN_MILLION = 10_000_000
EXCLUDED = ["Cancelled", "Returned"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="folder of a shop for bootstrap_ari and seeds")
    parser.add_argument("--as-of", type=date.fromisoformat, default=None)
    parser.add_argument("--peak-of-assignment", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of_assignment:
        return print(_peak_of_assignment(arguments.peak_of_assignment))
    with figures() as report, tempfile.TemporaryDirectory(prefix="persona-bench-") as folder:
        _choose(Path(folder), report)
        k = _trust(Path(folder), arguments.source, arguments.as_of, report)
        _assign(Path(folder), k, report)


def _choose(folder: Path, report) -> None:
    print(f"\nChoosing k among {CUSTOMERS:,} buyers of the sample shop\n", flush=True)
    shop = sample.write(folder / "shop", customers=int(CUSTOMERS * 1.5), seed=7)
    rows = numbers_of(described_shop(folder / "shop.duckdb", shop, None), CUSTOMERS)
    assert len(rows) == CUSTOMERS
    features = _features(rows)

    start = time.perf_counter()
    scaled, _ = prepare(features)
    choices = choose_k(scaled, 2, 20)
    ours = time.perf_counter() - start
    k = next(choice.k for choice in choices if choice.chosen)

    usual = StandardScaler().fit_transform(np.column_stack([rows, 3 * rows[:, -1]]))
    fits, sampled = {}, {}
    for candidate in range(2, 23):
        start = time.perf_counter()
        model = KMeans(candidate, n_init=10, random_state=42, algorithm="elkan").fit(usual)
        calinski_harabasz_score(usual, model.labels_)
        davies_bouldin_score(usual, model.labels_)
        fits[candidate] = time.perf_counter() - start
        start = time.perf_counter()
        silhouette_score(usual, model.labels_, sample_size=1_000)
        sampled[candidate] = time.perf_counter() - start
        print(f"  the usual way: k = {candidate} fitted", file=sys.stderr, flush=True)
    start = time.perf_counter()
    silhouette_score(usual, model.labels_)
    one = time.perf_counter() - start
    full = sum(fits[candidate] for candidate in range(2, 21)) + 19 * one
    every = sum(fits.values()) + sum(sampled.values())
    report("choose_k_vs_notebook_full", full / ours, "times", ours, full)
    print("  (of the other's 19 silhouettes one was measured, and the rest taken to be as long)")
    report("choose_k_vs_notebook_sampled", every / ours, "times", ours, every)

    mine = fit_segments(features, k)
    best = min(
        (KMeans(k, n_init=10, random_state=seed).fit(scaled) for seed in range(3)),
        key=lambda model: model.inertia_,
    )
    chosen = next(choice for choice in choices if choice.chosen)
    report("inertia_vs_best_of_30_starts", chosen.inertia / best.inertia_, "ratio",
           chosen.inertia, best.inertia_)  # fmt: skip
    report("ari_with_best_of_30_starts", adjusted_rand_score(mine.labels, best.labels_), "ARI")


def _trust(folder: Path, source: Path | None, as_of: date | None, report) -> int:
    """Returns the number of segments that most seeds choose."""
    if source is None:
        print("\nStability on the sample shop (--source names another)\n")
        warehouse = DuckDBWarehouse(folder / "shop.duckdb")
    else:
        print(f"\nStability on {source.name}\n")
        warehouse = described_shop(folder / "source.duckdb", source, as_of)
    rows = numbers_of(warehouse, FITTED_CUSTOMERS)
    scaled, _ = prepare(_features(rows))
    chosen, tied = [], 0
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(scaled))
        choices = choose_k(scaled[order], 2, 20, seed=seed)
        best = next(choice for choice in choices if choice.chosen)
        chosen.append(best)
        tied += sum(choice.tied for choice in choices) > 1
    commonest = max({c.k for c in chosen}, key=[c.k for c in chosen].count)
    agreeing = [c for c in chosen if c.k == commonest]
    report("bootstrap_ari", float(np.mean([c.stability for c in agreeing])), "ARI")
    report("chosen_k", commonest, "segments")
    report("same_k_of_20_seeds", len(agreeing), "seeds")
    report("seeds_with_a_tie", tied, "seeds")
    return commonest


def _assign(folder: Path, chosen_k: int, report) -> None:
    print(f"\nAssigning {TEN_MILLION:,} customers\n", flush=True)
    file = folder / "ten_million.duckdb"
    for rows in (100_000, 1_000_000, TEN_MILLION):
        _made_up(file, rows)
        warehouse = DuckDBWarehouse(file)
        start = time.perf_counter()
        numbers = numbers_of(warehouse, FITTED_CUSTOMERS)
        drawn = time.perf_counter() - start
        scaled, _ = prepare(_features(numbers))
        start = time.perf_counter()
        choose_k(scaled, 2, 20)
        took = time.perf_counter() - start
        if rows == 100_000:
            first = took
        report(f"choose_k_growth_{rows:_}", took / first, "ratio", took, first)
        report(f"draw_sample_{rows:_}", drawn, "s")
    for figure, k in (("assign_10m_vs_scan", chosen_k), ("assign_10m_vs_scan_k10", 10)):
        query, parameters = _assignment(warehouse, k)
        columns = ", ".join(f"SUM({name})" for name in ("user_id", *FEATURES))
        scan, assign = [], []
        with warehouse.connect() as connection:
            for _ in range(9):
                scan.append(_timed(connection, f"SELECT {columns} FROM persona.parametric"))
                assign.append(
                    _timed(
                        connection,
                        f"SELECT COUNT(segment), SUM(user_id) FROM ({query})",
                        parameters,
                    )
                )
        report(figure, min(assign) / min(scan), "times", min(assign), min(scan))
    peak = subprocess.run(
        [sys.executable, __file__, "--peak-of-assignment", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    report("assign_10m_peak_memory", float(peak.stdout), "MB")
    apart = _apart(warehouse, chosen_k) + _apart(warehouse, 10)
    report("assign_10m_apart_from_predict", apart, "customers")


def _apart(warehouse: DuckDBWarehouse, k: int) -> int:
    """How many of 10 million customers the SQL and scikit-learn's predict place apart."""
    numbers = numbers_of(warehouse, FITTED_CUSTOMERS)
    fitted = fit_segments(_features(numbers), k)
    query, parameters = _assignment(warehouse, k)
    model = polish(fitted.scale.apply(_features(numbers)), fitted.centres, steps=1)
    model.cluster_centers_ = fitted.centres
    apart = 0
    with warehouse.connect() as connection:
        reader = connection.execute(
            f"SELECT {', '.join(FEATURES)}, segment FROM ({query}) "
            "JOIN persona.parametric USING (user_id)",
            parameters,
        ).to_arrow_reader(1_000_000)
        for batch in reader:
            features = np.column_stack([batch[name].to_numpy() for name in FEATURES]).astype(float)
            predicted = model.predict(fitted.scale.apply(features)) + 1
            found = [int(name.removeprefix("seg_")) for name in batch["segment"].to_pylist()]
            apart += int((predicted != np.array(found)).sum())
    return apart


def _peak_of_assignment(file: Path) -> float:
    """MB at the highest, of this process, which draws a sample, fits and writes the segments of
    all customers. Linux only."""
    warehouse = DuckDBWarehouse(file)
    _, parameters = _assignment(warehouse, 10)
    warehouse.create("customer_segments", read_query("customer_segments"), parameters)
    return peak_mb()


def _assignment(warehouse: DuckDBWarehouse, k: int) -> tuple[str, dict]:
    numbers = numbers_of(warehouse, FITTED_CUSTOMERS)
    fitted = fit_segments(_features(numbers), k)
    rows = model_rows(fitted, numbers, [(f"seg_{i + 1}", None) for i in range(k)], "bench")
    return read_query("customer_segments").to_duckdb(model_parameters(rows))


def _timed(connection: duckdb.DuckDBPyConnection, query: str, parameters=None) -> float:
    start = time.perf_counter()
    connection.execute(query, parameters or {}).fetchall()
    return time.perf_counter() - start


def described_shop(file: Path, source: Path, as_of: date | None) -> DuckDBWarehouse:
    """A warehouse with the source and the table parametric."""
    warehouse = DuckDBWarehouse(file)
    warehouse.load({table.name: table.select for table in inspect_source(source)})
    spellings = countries()
    warehouse.replace("countries", spellings.schema, spellings.to_batches())
    newest = warehouse.read(read_query("newest_order"), {})["newest_order"][0].as_py()
    warehouse.create(
        "parametric",
        read_query("parametric"),
        {"as_of": as_of or newest, "excluded_statuses": EXCLUDED},
    )
    return warehouse


def numbers_of(warehouse: DuckDBWarehouse, customers: int) -> np.ndarray:
    """(customers, 5): the NUMBERS of up to so many buyers, in no particular order."""
    buyers = warehouse.read(read_query("buyer_count"), {})["buyers"][0].as_py()
    rows = warehouse.read(
        read_query("fitting_sample"),
        {"customers": customers, "cutoff": hash_cutoff(buyers, customers)},
    )
    return np.column_stack([rows[name].to_numpy() for name in NUMBERS]).astype(float)


def _features(numbers: np.ndarray) -> np.ndarray:
    return numbers[:, [NUMBERS.index(name) for name in FEATURES]]


def _made_up(file: Path, rows: int) -> None:
    """A table parametric of so many buyers, with the columns that the segmentation reads."""
    with DuckDBWarehouse(file).connect() as connection:
        connection.execute("SELECT SETSEED(0.5)")
        connection.execute(
            "CREATE OR REPLACE TABLE persona.parametric AS SELECT *, "
            "total_revenue / total_orders AS avg_basket, "
            "total_orders / (months_since_last_order + 1) AS freq_orders_per_month "
            "FROM (SELECT range AS user_id, 1 + FLOOR(-LN(RANDOM() + 1e-9))::BIGINT "
            "AS total_orders, EXP(3 + 2 * RANDOM()) AS total_revenue, "
            "36 * RANDOM() AS months_since_last_order FROM RANGE($rows))",
            {"rows": rows},
        )


if __name__ == "__main__":
    main()
