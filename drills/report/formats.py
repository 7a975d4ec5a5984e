"""Numbers and names as a reader sees them, in every page the same."""

from datetime import UTC, datetime

from drills.judge.records import NS_PER_S

_MS_PER_S = 1000


def number(value: object) -> str:
    """Return a value in words: six digits of a float, yes or no, "-" for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return params(value)
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def params(values: dict[str, object]) -> str:
    """Return names with their values in one line."""
    return ", ".join(f"{name} {number(value)}" for name, value in values.items())


def ms(value: float | None) -> str:
    """Return milliseconds, "none" when there are none."""
    return "none" if value is None else f"{number(value)} ms"


def duration(value_s: float) -> str:
    """Return a duration with three digits, in the unit that reads best: 0 s, 166 ms, 1.49 s, 35.9 s, 5 min 20 s."""
    if not value_s:
        return "0 s"
    if value_s < 1:
        return f"{value_s * _MS_PER_S:.3g} ms"
    if value_s < 100:  # noqa: PLR2004 - from here on three digits have no fraction
        return f"{value_s:.3g} s"
    minutes, seconds = divmod(round(value_s), 60)
    return f"{minutes} min {seconds} s"


def offset(value_s: float) -> str:
    """Return an instant relative to another, with its sign: -10.09 s, +1.49 s."""
    return f"{value_s:+.2f} s".replace("-", "\u2212")


def utc(at_ns: int) -> str:
    """Return an instant as date and time, UTC, to the second."""
    return datetime.fromtimestamp(at_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
