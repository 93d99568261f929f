"""Moments as people who use pandas write them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from schemas.errors import SettingsError


def moment_ns(moment: Any, hint: str = "write 2026-01-31") -> int:
    """Read whatever pandas takes for a time (UTC unless it says); raise ``SettingsError``."""
    try:
        stamp = pd.Timestamp(moment)
        if pd.isna(stamp):
            raise ValueError("no time")
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
        return int(stamp.as_unit("ns").value)
    except (ValueError, TypeError, OverflowError) as error:
        raise SettingsError("not a time", repr(moment)[:80], hint) from error
