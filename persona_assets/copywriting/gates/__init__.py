"""What a draft must satisfy to be accepted.

Each gate is a pure function with a name that returns a problem as "gate: detail", or None. They
run in order of cost, the costly ones only when the cheap ones found nothing.
"""

from .answer import parse_answer
from .form import MAX_BODY, MAX_PREHEADER, MAX_SUBJECT
from .run import Gates, reason, text_of

__all__ = ["MAX_BODY", "MAX_PREHEADER", "MAX_SUBJECT", "Gates", "parse_answer", "reason", "text_of"]
