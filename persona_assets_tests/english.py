"""The English e-mails by themselves, materialized in this process."""

from collections.abc import Sequence
from types import SimpleNamespace

import dagster as dg

from persona_assets.failures import told_error


def write_english(
    defs: dg.Definitions, customers: int, before: Sequence[str] = ()
) -> SimpleNamespace:
    """Materialize them, after the assets `before` them; what was shown of them. Raises what the
    run was stopped by."""
    job = defs.resolve_implicit_global_asset_job_def()
    audience = {"customers": customers, "languages": ["en"]}
    with dg.DagsterInstance.ephemeral() as instance:
        if before:
            job.execute_in_process(
                instance=instance, asset_selection=[dg.AssetKey(name) for name in before]
            )
        try:
            done = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey("emails")],
                partition_key="en",
                run_config={"ops": {"emails": {"config": audience}}},
            )
        except dg.Failure as failure:
            raise told_error(failure) from None
    (made,) = done.get_asset_materialization_events()
    metadata = made.step_materialization_data.materialization.metadata
    return SimpleNamespace(
        published=metadata["dagster/partition_row_count"].value,
        **{name: value.value for name, value in metadata.items() if name.isidentifier()},
    )
