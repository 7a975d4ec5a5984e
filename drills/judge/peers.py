"""The caller's identity as a server saw it, compared with the source of the call."""

import re
from collections.abc import Mapping

import polars as pl


def shows_source(identities: Mapping[str, str]) -> pl.Expr:
    """Whether the peer header names the identity of the row's source: whole, and not as the server's own (By=).

    Of several elements only the last counts: the nearest proxy wrote it; the others came with the request.
    """
    last = pl.col("peer").str.replace(r"^.*,", "").str.replace_all(r"(^|;)\s*By=[^;]*", "$1")
    matches = pl.lit(value=False)
    for service, identity in sorted(identities.items()):
        if identity:
            whole = rf"(?:^|[=;\s\"]|://){re.escape(identity)}(?:$|[;\s\"])"
            matches = matches | ((pl.col("source") == service) & last.str.contains(whole))
    return matches
