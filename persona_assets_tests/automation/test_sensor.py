"""The sensor that watches the source: real ticks of a sensor daemon, real runs from its queue."""

import os
import shutil
from collections import Counter

import dagster as dg
import pyarrow.parquet as pq
from dagster._core.scheduler.instigation import SensorInstigatorData

from persona_assets import schemas
from persona_assets.definitions import build_defs
from persona_assets.settings import Settings
from persona_assets.source import source_state

from .work import change, one_more_product, rows


def test_a_source_that_was_loaded_by_hand_is_not_loaded_again(watch):
    daemon = watch()
    for _ in range(2):
        assert daemon.look().skip_reason == "The source is as it was loaded."
    assert daemon.loads() == []


def test_a_source_that_was_never_loaded_is_loaded_at_the_second_look(watch, instance):
    for model in schemas.SOURCES:
        instance.wipe_assets([dg.AssetKey(model.__name__)])
    daemon = watch()
    assert "when the next look finds it the same" in daemon.look().skip_reason
    assert len(daemon.look().run_ids) == 1
    daemon.work_off_the_queue()
    assert [run.status for run in daemon.loads()] == [dg.DagsterRunStatus.SUCCESS]
    assert daemon.look().skip_reason == "The source is as it was loaded."


def test_a_change_is_loaded_once_when_it_has_come_to_rest(watch, shop_home):
    daemon = watch()
    daemon.look()
    change(shop_home, "products", one_more_product)
    first = daemon.look()
    assert "when the next look finds it the same" in first.skip_reason
    change(shop_home, "products", one_more_product)  # still being written
    assert daemon.look().run_ids == []
    (run_id,) = daemon.look().run_ids
    daemon.work_off_the_queue()
    for _ in range(3):
        assert daemon.look().run_ids == []
    (load,) = daemon.loads()
    assert (load.run_id, load.status) == (run_id, dg.DagsterRunStatus.SUCCESS)
    loaded = rows(shop_home, "SELECT COUNT(*) FROM thelook_ecommerce.products")
    assert loaded == [(len(pq.read_table(shop_home.source / "products.parquet")),)]


def test_a_source_that_is_gone_is_said_and_loaded_when_it_is_back_changed(watch, shop_home):
    daemon = watch()
    daemon.look()
    orders = shop_home.source / "orders.parquet"
    orders.rename(shop_home.source / "orders.aside")
    assert "table orders is missing" in daemon.look().skip_reason
    shop_home.source.rename(shop_home.source.with_name("moved"))
    assert "is not a folder" in daemon.look().skip_reason
    shop_home.source.with_name("moved").rename(shop_home.source)
    (shop_home.source / "orders.aside").rename(orders)
    assert daemon.look().skip_reason == "The source is as it was loaded."
    change(shop_home, "products", one_more_product)
    daemon.look()
    assert len(daemon.look().run_ids) == 1


def test_a_restart_between_two_looks_neither_forgets_a_change_nor_loads_it_twice(watch, shop_home):
    watch().look()
    change(shop_home, "products", one_more_product)
    assert watch().look().run_ids == []
    assert len(watch().look().run_ids) == 1
    watch().work_off_the_queue()
    again = watch()
    assert again.look().skip_reason == "The source is as it was loaded."
    assert len(again.loads()) == 1


def test_a_change_while_a_load_is_under_way_is_loaded_after_it(watch, shop_home):
    daemon = watch()
    change(shop_home, "products", one_more_product)
    daemon.look()
    assert len(daemon.look().run_ids) == 1  # waits in the queue
    change(shop_home, "products", one_more_product)
    for _ in range(3):
        assert "a load is under way" in daemon.look().skip_reason
    # The load reads what is there when it runs, and says which state that was.
    daemon.work_off_the_queue()
    assert daemon.look().skip_reason == "The source is as it was loaded."
    assert len(daemon.loads()) == 1
    change(shop_home, "products", one_more_product)
    daemon.look()
    assert len(daemon.look().run_ids) == 1


def test_a_cursor_that_is_reset_loads_nothing_twice(watch, shop_home, instance):
    daemon = watch()
    change(shop_home, "products", one_more_product)
    daemon.look(), daemon.look()
    daemon.work_off_the_queue()
    state = instance.get_instigator_state(
        daemon.sensor.get_remote_origin().get_id(), daemon.sensor.selector_id
    )
    assert state.instigator_data.cursor
    instance.update_instigator_state(
        state.with_data(SensorInstigatorData(sensor_type=state.instigator_data.sensor_type))
    )
    for _ in range(3):
        assert daemon.look().run_ids == []
    assert len(daemon.loads()) == 1


def test_a_load_that_failed_is_not_repeated_until_the_source_changes(watch, shop_home):
    daemon = watch()
    whole = (shop_home.source / "orders.parquet").read_bytes()
    (shop_home.source / "orders.parquet").write_bytes(whole[: len(whole) // 2])
    daemon.look()
    assert len(daemon.look().run_ids) == 1
    daemon.work_off_the_queue()
    for _ in range(3):
        assert daemon.look().run_ids == []
    assert [run.status for run in daemon.loads()] == [dg.DagsterRunStatus.FAILURE]
    (shop_home.source / "orders.parquet").write_bytes(whole)
    daemon.look()
    assert len(daemon.look().run_ids) == 1


def test_a_source_that_goes_back_to_an_earlier_state_is_loaded_again(watch, shop_home):
    daemon, file = watch(), shop_home.source / "products.parquet"
    first, moment = file.read_bytes(), file.stat()
    states = [source_state(shop_home, None)]
    for again in (False, True, False, True):
        if again:
            file.write_bytes(first)
            os.utime(file, ns=(moment.st_atime_ns, moment.st_mtime_ns))
        else:
            change(shop_home, "products", one_more_product)
            os.utime(file, ns=(moment.st_atime_ns, moment.st_mtime_ns + 1))
        states.append(source_state(shop_home, None))
        daemon.look()
        assert len(daemon.look().run_ids) == 1
        daemon.work_off_the_queue()
    assert Counter(map(str, states)).most_common(1)[0][1] == 3
    assert len(daemon.loads()) == 4


def test_a_longer_suppression_list_is_a_change(watch, shop_home, tmp_path, monkeypatch):
    listed = tmp_path / "list.csv"
    shutil.copy2(shop_home.suppression_list, listed)
    monkeypatch.setenv("PERSONA_SUPPRESSION_LIST", str(listed))
    daemon = watch()
    listed.write_text("user_id,reason\n7,unsubscribed\n8,bounced\n", encoding="utf-8")
    daemon.look()
    assert len(daemon.look().run_ids) == 1
    daemon.work_off_the_queue()
    assert rows(shop_home, "SELECT COUNT(*) FROM persona.suppression_list") == [(2,)]


def test_the_sample_shop_is_nothing_to_watch(shop_home, instance, tmp_path):
    sensor = build_defs(shop_home).resolve_sensor_def("source_changed")
    settings = shop_home.model_copy(update={"source": None, "suppression_list": None})
    context = dg.build_sensor_context(
        instance, resources={"settings": settings, "warehouse": None}
    )
    assert "nothing to watch" in sensor(context).skip_reason.skip_message


def test_what_runs_by_itself_is_off_until_it_is_switched_on_and_says_what_it_does():
    definitions = build_defs(Settings())
    repository = definitions.get_repository_def()
    names = {sensor.name for sensor in repository.sensor_defs}
    assert names == {"source_changed", "follow_changes"}
    for sensor in repository.sensor_defs:
        assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
        assert sensor.description
    (schedule,) = repository.schedule_defs
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.description
