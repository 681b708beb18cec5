"""Clean e-mails and seeded defects in nine languages, written by hand.

briefs.toml: the facts; clean/<language>.txt: one e-mail per brief, in their order, each as
subject, preheader and body; defects/<language>.toml: sentences that must not be sent.
"""

import tomllib
from functools import cache
from pathlib import Path

from persona_assets.copywriting.brief import Brief, Draft

from ..samples import brief

_FOLDER = Path(__file__).parent
_NOTHING = {
    "avg_basket": None,
    "order_interval_months": None,
    "last_order_month": None,
    "last_event": None,
}


@cache
def briefs(language: str) -> tuple[Brief, ...]:
    """The briefs behind the clean e-mails of a language."""
    facts = tomllib.loads((_FOLDER / "briefs.toml").read_text(encoding="utf-8"))["brief"]
    return tuple(
        brief(
            language,
            prompt_hash=format(number, "064x"),
            **{
                name: tuple(value) if isinstance(value, list) else value
                for name, value in {**_NOTHING, **fact}.items()
            },
        )
        for number, fact in enumerate(facts)
    )


@cache
def clean(language: str) -> tuple[tuple[Brief, Draft], ...]:
    """Every brief of a language with the e-mail that answers it."""
    texts = (_FOLDER / "clean" / f"{language}.txt").read_text(encoding="utf-8").split("\n===\n")
    return tuple(
        (one, Draft(one.prompt_hash, "by hand", 1, *text.strip().split("\n", 2)))
        for one, text in zip(briefs(language), texts, strict=True)
    )


@cache
def defects(language: str, kind: str) -> tuple[str, ...]:
    """The seeded sentences of one kind, those written after the gates were tuned too."""
    lists = tomllib.loads((_FOLDER / "defects" / f"{language}.toml").read_text(encoding="utf-8"))
    return tuple([*lists[kind], *lists["held_back"].get(kind, ())])


@cache
def catalogue() -> tuple[str, ...]:
    """The products of all briefs."""
    return tuple(dict.fromkeys(name for one in briefs("en") for name in one.products))
