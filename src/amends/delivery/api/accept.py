"""What a client takes.

Rules: an answer has the one content type that its route has. A client that names types must name that one, or a
pattern that it fits; JSON also goes by what problems are. Without `Accept` anything will do.
It does not: negotiate.
"""

import re

from aiohttp import hdrs, web

from amends.delivery.api.problem import Problem

_QUALITY = re.compile(r";\s*q=0(?:\.0{0,3})?\s*(?:;|$)")


def check_accept(request: web.BaseRequest, content_type: str) -> None:
    """Refuse a client that cannot take `content_type`.

    Raises:
        Problem: 406.
    """
    given = ",".join(request.headers.getall(hdrs.ACCEPT, []))
    if not given.strip():
        return
    kind, _, _ = content_type.partition("/")
    fitting = {"*/*", f"{kind}/*", content_type}
    for each in given.lower().split(","):
        if each.partition(";")[0].strip() in fitting and not _QUALITY.search(each):
            return
    raise Problem("not-acceptable", f"the answer is {content_type}; accept that")
