"""Exact search of P2 (19) by branch and bound, compiled.

All bounds are one inequality: for any symmetric ``M`` of unit trace and positive definite ``A``,
``tr(A^-1) >= 1 / tr(M A M)`` (Cauchy-Schwarz), with equality at ``M = A^-1 / tr(A^-1)``. With
``A`` a sum over receivers the right side holds the sum of one number, the *gain* ``tr(M J M)``,
of each; no set's sum exceeds that of the largest gains. ``M`` has two degrees of freedom; the best
one solves the relaxation of (19) to receivers used in part, whose value is then the bound.
"""

import numpy as np

from drivers.compiled import compiled
from drivers.geometry import FloatArray

# Better by less than this share is rounding.
ROUNDING = 1e-12
# Share of its trace by which ``M M`` is rounded up, against cancellation in gains and for
# information that rounding has left slightly indefinite.
_ROUND_UP = 16.0 * 2.0**-52
# A relaxation is left when its value is known to this share, or after so many steps.
_SOLVED, _MAX_STEPS = 1e-3, 24
# So few pairs are tried sooner than bounded once more; a step's effort besides its gains.
_FEW_PAIRS, _STEP_EFFORT = 100, 50

# Plain tuples: an index of compiled functions cannot be read once a class that it names has moved.
# Of one transmitter: information of links, (N, 3); receivers at hand, (N_r,); gains and sets
# evaluated, (1,); smallest tr(A^-1) so far, (1,), and its nodes, (1 + N_r,); index; share by which
# tr(A^-1) must be smaller to be of interest; mu_reg.
Search = tuple[FloatArray, np.ndarray, np.ndarray, FloatArray, np.ndarray, int, float, float]
# Sets of receivers held and members. Regularized information of prior and held, (3,); where the
# relaxation starts, then its solution, (3,); best weights of xx, xy, yy in gains, (3,); members
# and their gains, (N,), the first of which count. Nested ones have one more axis in front.
Branch = tuple[FloatArray, FloatArray, FloatArray, np.ndarray, FloatArray]


@compiled
def _error_var_m2(xx: float, xy: float, yy: float, regularization_per_m2: float) -> float:
    """``tr(A^-1)`` of regularized entries, as `error_bound.peb_m` has it."""
    least = regularization_per_m2 * (xx + yy - regularization_per_m2)
    return (xx + yy) / max(xx * yy - xy * xy, least)


@compiled
def _offer(search: Search, var_m2: float) -> None:
    """Keep the path if it is the best so far."""
    _, path, _, best_var_m2, best_nodes, tx, _, _ = search
    if var_m2 < best_var_m2[0]:
        best_var_m2[0], best_nodes[0] = var_m2, tx
        for n in range(len(path)):
            best_nodes[1 + n] = path[n]


@compiled
def _needed(search: Search) -> float:
    """What the gains of a set of interest exceed in sum, for any ``M``."""
    return (1.0 + search[6]) / search[3][0]


@compiled
def _weigh(information: FloatArray, weights: FloatArray) -> None:
    """Weights of gains for the ``M`` that is best for this information, rounded up."""
    trace = information[0] + information[2]
    xx, xy, yy = information[2] / trace, -information[1] / trace, information[0] / trace
    up = _ROUND_UP * (xx * xx + 2.0 * xy * xy + yy * yy)
    weights[0] = xx * xx + xy * xy + up
    weights[1] = 2.0 * xy * (xx + yy)
    weights[2] = yy * yy + xy * xy + up


@compiled
def _gain(weights: FloatArray, entries: FloatArray) -> float:
    return weights[0] * entries[0] + weights[1] * entries[1] + weights[2] * entries[2]


@compiled
def _gain_all(
    search: Search, branch: Branch, count: int, weights: FloatArray, top: np.ndarray
) -> None:
    """Gains of members; positions of the largest into `top`, by falling gain, first ones first."""
    (links, _, effort, _, _, _, _, _), (_, _, _, members, gains) = search, branch
    size, filled = len(top), 0
    effort[0] += count + _STEP_EFFORT
    for n in range(count):
        gain = gains[n] = _gain(weights, links[members[n]])
        if filled == size and gain <= gains[top[-1]]:
            continue
        at = min(filled, size - 1)
        while at > 0 and gains[top[at - 1]] < gain:
            top[at] = top[at - 1]
            at -= 1
        top[at] = n
        filled = min(filled + 1, size)


@compiled
def _offer_top(search: Search, branch: Branch, top: np.ndarray, held: int, end: FloatArray) -> None:
    """Offer the set of the members at `top`; its information into `end`."""
    (links, path, _, _, _, _, _, least), (known, _, _, members, _) = search, branch
    end[:] = known
    for place in range(len(top)):
        r = path[held + place] = members[top[place]]
        for entry in range(3):
            end[entry] += links[r, entry]
    _offer(search, _error_var_m2(end[0], end[1], end[2], least))


@compiled
def _best_share(start: FloatArray, end: FloatArray) -> float:
    """Share of the way from one information to another at which ``tr(A^-1)`` is least."""
    x, y, z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    trace, slope = start[0] + start[2], x + z
    det = start[0] * start[2] - start[1] * start[1]
    det_slope = start[0] * z + start[2] * x - 2.0 * start[1] * y
    det_bend = x * z - y * y
    # Where (trace + slope s) / (det + det_slope s + det_bend s^2) is least, by its derivative
    a, b, c = slope * det_bend, trace * det_bend, trace * det_slope - slope * det
    root = np.sqrt(max(b * b - a * c, 0.0))
    for share in (-c / (b + root), -c / (b - root)):
        if 0.0 < share < 1.0:
            return share
    return 1.0 if c > 0.0 else 0.0


@compiled
def _relax(search: Search, branch: Branch, count: int, held: int) -> tuple[int, float]:
    """Bound a branch that holds so many receivers; drop members that no set of interest needs.

    Frank-Wolfe steps with exact line search (Jaggi 2013), each with a bound and a set, which is
    offered. Returns the number of members left, none if no other set is of interest, and the
    smallest sum of gains that no set exceeds.
    """
    known, start, weights, members, gains = branch
    top, trial, end = np.zeros(len(search[1]) - held, dtype=np.intp), np.empty(3), np.empty(3)
    least = np.inf
    for step in range(_MAX_STEPS):
        _weigh(start, trial)
        _gain_all(search, branch, count, trial, top)
        _offer_top(search, branch, top, held, end)
        total = _gain(trial, known) + np.sum(gains[top])
        if total < least:
            least, weights[:] = total, trial
        if least <= _needed(search) or count == len(top):
            return 0, least
        # With less in place of the last of the largest gains the sum falls too low.
        last, num_members, count = gains[top[-1]], count, 0
        for n in range(num_members):
            if gains[n] >= min(_needed(search) - (total - last), last):
                members[count] = members[n]
                count += 1
        share = 1.0 if step == 0 else _best_share(start, end)
        start += share * (end - start)
        det = start[0] * start[2] - start[1] * start[1]
        if share == 0.0 or (step > 0 and (start[0] + start[2]) * least < (1.0 + _SOLVED) * det):
            break
    _gain_all(search, branch, count, weights, top)
    return count, least


@compiled
def _sort(values: FloatArray, members: np.ndarray, count: int) -> None:
    """Sort so many values in falling order, and the members with them (Shell 1959)."""
    stride = count // 2
    while stride > 0:
        for n in range(stride, count):
            value, member, at = values[n], members[n], n
            while at >= stride and values[at - stride] < value:
                values[at], members[at] = values[at - stride], members[at - stride]
                at -= stride
            values[at], members[at] = value, member
        stride = 1 if stride == 2 else stride * 5 // 11


@compiled
def _try_pairs(search: Search, branch: Branch, count: int) -> None:
    """Complete the set at hand with all pairs of interest of members, by falling gains."""
    links, path, effort, best_var_m2, _, _, _, least = search
    known, _, weights, members, gains = branch
    for a in range(count - 1):
        r, enough = members[a], _needed(search) - _gain(weights, known) - gains[a]
        if gains[a + 1] <= enough:
            break
        xx, xy, yy = known[0] + links[r, 0], known[1] + links[r, 1], known[2] + links[r, 2]
        for b in range(a + 1, count):
            if gains[b] <= enough:
                break
            s = members[b]
            var_m2 = _error_var_m2(xx + links[s, 0], xy + links[s, 1], yy + links[s, 2], least)
            if var_m2 < best_var_m2[0]:
                path[-2], path[-1] = r, s
                _offer(search, var_m2)
        effort[0] += b - a


@compiled
def _level(levels: Branch, depth: int) -> Branch:
    known, start, weights, members, gains = levels
    return known[depth], start[depth], weights[depth], members[depth], gains[depth]


@compiled
def _descend(search: Search, levels: Branch, depth: int, place: int, count: int) -> int:
    """Open the branch that holds one more member and takes the others after it; their number."""
    (links, path, _, _, _, _, _, _), (known, start, weights, members, gains) = search, levels
    r, left, child = members[depth, place], count - place - 1, depth + 1
    path[depth] = r
    for entry in range(3):
        known[child, entry] = known[depth, entry] + links[r, entry]
        start[child, entry], weights[child, entry] = start[depth, entry], weights[depth, entry]
    members[child, :left] = members[depth, place + 1 : count]
    gains[child, :left] = gains[depth, place + 1 : count]
    if depth + 3 == len(path) and left * (left - 1) <= 2 * _FEW_PAIRS:
        return left
    branch = _level(levels, child)
    left, _ = _relax(search, branch, left, child)
    _sort(gains[child], members[child], left)
    return left


@compiled
def _search_depth_first(search: Search, levels: Branch, count: int, max_effort: int) -> bool:
    """Try all sets of interest with members of the first level; false if that is too much."""
    (_, path, effort, _, _, _, _, _), (known, _, weights, _, gains) = search, levels
    size = len(path)
    counts, places, depth = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=np.intp), 0
    counts[0] = count
    while depth >= 0 and effort[0] <= max_effort:
        if depth + 2 == size:
            _try_pairs(search, _level(levels, depth), counts[depth])
            depth -= 1
            continue
        after = places[depth] + size - depth
        sum_of_gains = np.sum(gains[depth, places[depth] : after])
        sum_of_gains += _gain(weights[depth], known[depth])
        if after > counts[depth] or sum_of_gains <= _needed(search):
            depth -= 1
            continue
        places[depth] += 1
        counts[depth + 1] = _descend(search, levels, depth, places[depth] - 1, counts[depth])
        depth += 1
        places[depth] = 0
    return depth < 0


@compiled
def _open(search: Search, root: Branch, prior: FloatArray) -> tuple[int, float]:
    """Bound all sets of one transmitter, as `_relax`."""
    (links, _, _, _, _, tx, _, least), (known, start, _, members, _) = search, root
    for entry, diagonal in enumerate((1.0, 0.0, 1.0)):
        known[entry] = prior[entry] + diagonal * least
        start[entry] = diagonal
    for n in range(len(links) - 1):
        members[n] = n + (n >= tx)
    return _relax(search, root, len(links) - 1, 0)


@compiled
def search_configurations(
    information: FloatArray,
    prior: FloatArray,
    best: tuple[FloatArray, np.ndarray],
    slack: float,
    max_effort: int,
    regularization_per_m2: float,
) -> float:
    """Lower bound of ``tr(A^-1)`` of all configurations of at least two receivers, in m^2.

    Parameters
    ----------
    best
        Smallest ``tr(A^-1)`` known, ``(1,)``; its nodes, ``(1 + N_r,)``. Improved in place.
    slack
        Share that need not be gained; `ROUNDING` for the best of all.
    max_effort
        Gains and sets after which the search ends, with the bound that it has then.
    """
    num_nodes, size = len(information), len(best[1]) - 1
    levels = (
        np.empty((size, 3)), np.empty((size, 3)), np.empty((size, 3)),
        np.empty((size, num_nodes), dtype=np.intp), np.empty((size, num_nodes)),
    )  # fmt: skip
    path, effort = np.zeros(size, dtype=np.intp), np.zeros(1, dtype=np.int64)
    bounds_m2, worth, order = np.zeros(num_nodes), np.zeros(num_nodes), np.arange(num_nodes)
    for tx in range(num_nodes):
        worth[tx] = np.sum(information[tx])
    for final in (False, True):  # Bound all transmitters, then search those that may win.
        _sort(worth, order, num_nodes)
        for place in range(num_nodes):
            tx = order[place]
            search = information[tx], path, effort, *best, tx, slack, regularization_per_m2
            if final and bounds_m2[tx] * (1.0 + slack) >= best[0][0]:
                break
            count, least = _open(search, _level(levels, 0), prior)
            if not final:
                bounds_m2[tx] = (1.0 - ROUNDING) / least
                worth[place] = least
            elif count > 0:
                _sort(levels[4][0], levels[3][0], count)
                if not _search_depth_first(search, levels, count, max_effort):
                    return min(bounds_m2[tx], best[0][0] / (1.0 + slack))
    return best[0][0] * (1.0 - ROUNDING) / (1.0 + slack)
