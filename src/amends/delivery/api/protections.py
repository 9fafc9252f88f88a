"""What the settings say about breakers, limits and budgets, as the engine takes it.

Rules: every binding has a breaker and budgets of its own; the settings of all are the same, but for rate and width.
It does not: check values (`amends.settings` does).
"""

from amends.application.breakers import BreakerPolicy
from amends.application.gate import Budget, Protection
from amends.settings import Settings
from amends.settings.model import Microservice


def protection(settings: Settings, service: Microservice | None = None) -> Protection:
    """Return the protection of a participant: that of `service`, or of any."""
    breaker, budget = settings.breaker, settings.retry_budget
    return Protection(
        breaker=BreakerPolicy(
            enabled=breaker.enabled,
            failures=breaker.failures,
            share=breaker.share,
            over=breaker.over,
            open_for=breaker.open_for,
            longest=breaker.longest,
            ramp=breaker.ramp,
            ramp_first=breaker.ramp_first,
        ),
        do_budget=Budget(share=budget.do_share, least=budget.least),
        undo_budget=Budget(share=budget.undo_share, least=budget.least),
        rate=None if service is None else service.rate,
        width=None if service is None else service.width,
    )
