"""Numbers with their units, for people."""


def metres(value: float | None) -> str:
    """A length for people, in the unit that suits it: 1.23 m, 45.6 mm; a dash for ``None``."""
    if value is None:
        return "-"
    return f"{value:.2f} m" if abs(value) >= 1.0 else f"{1e3 * value:.2f} mm"
