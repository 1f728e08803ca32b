"""What the fit of a direct path among scatterers brings."""

from dataclasses import dataclass

from drivers.geometry import ComplexArray


@dataclass(frozen=True)
class FittedPath:
    """A direct path and what was found beside it, in resolution cells.

    Attributes
    ----------
    delay, delay_var
        Of the direct path.
    beam, beam_var
        Of the direct path; zero and infinite where it has none: one element, or free elements.
    element_gain
        Amplitude of the direct path at each element about the found direction, shape ``(M,)``.
    element_var
        Variance of each of them.
    num_scatterers
        That were fitted beside it.
    """

    delay: float
    delay_var: float
    beam: float
    beam_var: float
    element_gain: ComplexArray
    element_var: float
    num_scatterers: int
