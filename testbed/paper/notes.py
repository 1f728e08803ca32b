"""Why the columns differ from the paper, and from each other: the numbered notes of the page."""

from collections.abc import Mapping

NOTES: Mapping[int, str] = {
    1: (
        "Measurements. The paper refines the delay by the phase slope over single tones. A tone's "
        "SNR is about -10 dB here, where that fails; both columns take coherent sub-bands first "
        "and reach the Cramér-Rao bound of a link. So errors are smaller throughout than the "
        "published ones, also to the letter: what the letter concerns is the loop around the links."
    ),
    2: (
        "Rare trials. An RMSE is that of its worst trials. To the letter only the latest sensing "
        "counts and the loop stops when a configuration repeats: in a few of a thousand trials it "
        "repeats one that sees the target badly, or ten random configurations in a row do not see "
        "it at all, and an error of tens of metres is left. Ours fuses all sensings, asks its "
        "belief where to look, and stops when the stated 95 % radius is small enough. The paper's "
        "0.45 m leaves no room for such trials; without the worst hundredth the letter's curves "
        "have the paper's shape, lower by what note 1 says."
    ),
    3: (
        "Initialization. A target faces away from half of all receivers, and one look in ten fades "
        "below any threshold, whatever was chosen. A first look that detects nothing states no "
        "position, and errors are then those of the middle of the hall. SFI lowers how often that "
        "is so; after that the next sensings are chosen alike, so that the start is forgotten. "
        "The paper does not say what its loop does after an empty look; to the letter the next "
        "configuration is drawn at random, and where something was detected P2 chooses of the "
        "nodes that face it, which (17) to (19) do not say."
    ),
    4: (
        "FIS and SFI-PEB. In a few scenes the first configuration does not see the target at all; "
        "the regularized bound (18) then states 1.4 km, and these scenes make the whole RMSE. "
        "Medians tell more. The J symbols of a single shot follow one another within a "
        "millisecond, so that one draw of the RCS holds for all of them."
    ),
    5: (
        "RSA. To the letter, estimates of single sensings that detected something are averaged, "
        "each with the same weight. Ours fuses them with the weights that they deserve."
    ),
    6: (
        "OBS. Its one look has one fade: an RMSE above that of schemes with as many looks as "
        "symbols, a median below. The paper's single shot does not suffer from that, so that its "
        "J symbols must have had fades of their own, or none."
    ),
    7: (
        "Receivers. More receivers see the same target from more sides: with all sensings fused "
        "that lowers every percentile. To the letter one sensing is all that counts, and the "
        "published rows rise and fall as its measurements' weights do: the paper's absolute "
        "bandwidth (10 GHz where 28.9 MHz is meant) makes a delay's variance 346 squared too "
        "small, so that with two receivers delays decide and angles are lost. Both columns here "
        "weight on one scale."
    ),
    8: (
        "Sensings. The more a sensing brings, the fewer are needed, in both columns: after the "
        "first detection the estimate is so sharp that P2 has settled on a configuration by the "
        "next one. The paper's estimates are coarser (note 1), so that with more receivers, and "
        "more sets that are nearly as good, its choice likely changes for longer before it repeats."
    ),
    9: (
        "Runtimes are of this machine, one thread, a capture being there; the paper's are of "
        "MATLAB on another. Literal: the equations as they are printed, whole maps, all sets with "
        "a matrix inverse each, in NumPy. Ours computes the same maps and the same choice. "
        "Selection has the fusion in it in ours; the literal one is the search (19) alone."
    ),
    10: (
        "The hall is that of section VI, with what it leaves open: 6,666 tones of 15 kHz, a direct "
        "path and 68 clutter points on each link (the other nodes and 30 scatterers), clutter "
        "that does not change between calibration and sensing, ideal half-plane fields of view, "
        "plane waves, a perfect survey, the RCS drawn anew for every look."
    ),
}
