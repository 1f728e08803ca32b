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
from fusion.search_state import Branch, Search

# Better by less than this share is rounding.
ROUNDING = 1e-12
# Share of its trace by which ``M M`` is rounded up, against cancellation in gains and for
# information that rounding has left slightly indefinite.
_ROUND_UP = 16.0 * 2.0**-52
# A relaxation is left when its value is known to this share, or after so many steps.
_SOLVED, _MAX_STEPS = 1e-3, 24
# So few pairs are tried sooner than bounded once more.
_FEW_PAIRS = 100
# What one step costs besides its gains, in gains.
_STEP_EFFORT = 50


@compiled
def _error_var_m2(xx: float, xy: float, yy: float, regularization_per_m2: float) -> float:
    """``tr(A^-1)`` of regularized entries, as `error_bound.peb_m` has it."""
    trace = xx + yy
    least = regularization_per_m2 * (trace - regularization_per_m2)
    return trace / max(xx * yy - xy * xy, least)


@compiled
def _keep(search: Search, var_m2: float) -> None:
    search.best_var_m2[0] = var_m2
    search.best_nodes[0] = search.tx
    search.best_nodes[1:] = search.path


@compiled
def _needed(search: Search) -> float:
    """What the gains of a set of interest exceed in sum, for any ``M``."""
    return (1.0 + search.slack) / search.best_var_m2[0]


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
def _gain_all(search: Search, weights: FloatArray, branch: Branch, count: int) -> None:
    links, members, gains = search.links, branch.members, branch.gains
    xx, xy, yy = weights
    for n in range(count):
        r = members[n]
        gains[n] = xx * links[r, 0] + xy * links[r, 1] + yy * links[r, 2]
    search.effort[0] += count + _STEP_EFFORT


@compiled
def _pick_largest(gains: FloatArray, count: int, top: np.ndarray) -> None:
    """Positions of the largest gains into `top`, in falling order, the first of equal ones."""
    size, filled, least = len(top), 0, -np.inf
    for n in range(count):
        if filled == size and gains[n] <= least:
            continue
        at = min(filled, size - 1)
        while at > 0 and gains[top[at - 1]] < gains[n]:
            top[at] = top[at - 1]
            at -= 1
        top[at] = n
        filled = min(filled + 1, size)
        least = gains[top[filled - 1]]


@compiled
def _best_share(start: FloatArray, end: FloatArray) -> float:
    """Share of the way from one information to another at which ``tr(A^-1)`` is least."""
    x, y, z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    trace, slope = start[0] + start[2], x + z
    det = start[0] * start[2] - start[1] * start[1]
    det_slope = start[0] * z + start[2] * x - 2.0 * start[1] * y
    det_bend = x * z - y * y
    # The derivative of (trace + slope s) / (det + det_slope s + det_bend s^2) is zero where
    # a s^2 + 2 b s + c is.
    a, b, c = slope * det_bend, trace * det_bend, trace * det_slope - slope * det
    root = np.sqrt(max(b * b - a * c, 0.0))
    for share in (-c / (b + root), -c / (b - root)):
        if 0.0 < share < 1.0:
            return share
    return 1.0 if c > 0.0 else 0.0


@compiled
def _relax(search: Search, branch: Branch, count: int, held: int) -> tuple[int, float]:
    """Bound a branch that holds so many receivers; drop members that no set of interest needs.

    Frank-Wolfe steps with exact line search on the relaxation (Jaggi 2013). Every step yields a
    bound and a set, which is kept if it is the best so far. Returns the number of members left,
    none if no other set is of interest, and the smallest sum of gains that no set exceeds.
    """
    start, members, gains = branch.start, branch.members, branch.gains
    top = np.zeros(len(search.path) - held, dtype=np.intp)
    trial, end, least = np.empty(3), np.empty(3), np.inf
    for step in range(_MAX_STEPS):
        _weigh(start, trial)
        _gain_all(search, trial, branch, count)
        _pick_largest(gains, count, top)
        total = _gain(trial, branch.known)
        end[:] = branch.known
        for place in range(len(top)):
            total += gains[top[place]]
            search.path[held + place] = members[top[place]]
            for entry in range(3):
                end[entry] += search.links[members[top[place]], entry]
        if total < least:
            least = total
            branch.weights[:] = trial
        var_m2 = _error_var_m2(end[0], end[1], end[2], search.regularization_per_m2)
        if var_m2 < search.best_var_m2[0]:
            _keep(search, var_m2)
        if least <= _needed(search) or count == len(top):
            return 0, least
        # With less in place of the last of the largest gains the sum falls too low.
        last = gains[top[-1]]
        count = _drop(branch, count, min(_needed(search) - (total - last), last))
        share = 1.0 if step == 0 else _best_share(start, end)
        for entry in range(3):
            start[entry] += share * (end[entry] - start[entry])
        solved = (start[0] + start[2]) * least
        solved /= start[0] * start[2] - start[1] * start[1]
        if share == 0.0 or (step > 0 and solved < 1.0 + _SOLVED):
            break
    _gain_all(search, branch.weights, branch, count)
    return count, least


@compiled
def _drop(branch: Branch, count: int, enough: float) -> int:
    """Members of enough gain, moved to the front; their number."""
    kept = 0
    for n in range(count):
        if branch.gains[n] >= enough:
            branch.members[kept] = branch.members[n]
            kept += 1
    return kept


@compiled
def _sort(branch: Branch, count: int) -> None:
    order = np.argsort(-branch.gains[:count])
    branch.members[:count] = branch.members[:count][order]
    branch.gains[:count] = branch.gains[:count][order]


@compiled
def _try_pairs(search: Search, branch: Branch, count: int) -> None:
    """Complete the set at hand with all pairs of members, by falling gains, of interest."""
    links, members, gains, known = search.links, branch.members, branch.gains, branch.known
    own, best = _gain(branch.weights, known), search.best_var_m2[0]
    for a in range(count - 1):
        r, enough = members[a], _needed(search) - own - gains[a]
        if gains[a + 1] <= enough:
            break
        xx, xy, yy = known[0] + links[r, 0], known[1] + links[r, 1], known[2] + links[r, 2]
        for b in range(a + 1, count):
            if gains[b] <= enough:
                search.effort[0] += b - a
                break
            s = members[b]
            var_m2 = _error_var_m2(
                xx + links[s, 0], xy + links[s, 1], yy + links[s, 2], search.regularization_per_m2
            )
            if var_m2 < best:
                search.path[-2:] = r, s
                best = var_m2
                _keep(search, best)
        else:
            search.effort[0] += count - a


@compiled
def _level(levels: Branch, depth: int) -> Branch:
    known, start, weights, members, gains = levels
    return Branch(known[depth], start[depth], weights[depth], members[depth], gains[depth])


@compiled
def _descend(search: Search, levels: Branch, depth: int, place: int, count: int) -> int:
    """Open the branch that holds one more member and takes the others after it; their number."""
    search.path[depth] = levels.members[depth, place]
    levels.known[depth + 1] = levels.known[depth] + search.links[search.path[depth]]
    levels.start[depth + 1] = levels.start[depth]
    levels.weights[depth + 1] = levels.weights[depth]
    left = count - place - 1
    levels.members[depth + 1, :left] = levels.members[depth, place + 1 : count]
    levels.gains[depth + 1, :left] = levels.gains[depth, place + 1 : count]
    if depth + 3 == len(search.path) and left * (left - 1) <= 2 * _FEW_PAIRS:
        return left
    branch = _level(levels, depth + 1)
    left, _ = _relax(search, branch, left, depth + 1)
    _sort(branch, left)
    return left


@compiled
def _search_depth_first(search: Search, levels: Branch, count: int, limit: int) -> bool:
    """Try all sets of interest with members of the first level; false if that is too much."""
    size = len(search.path)
    counts, places, depth = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=np.intp), 0
    counts[0] = count
    while depth >= 0:
        if search.effort[0] > limit:
            return False
        if depth + 2 == size:
            _try_pairs(search, _level(levels, depth), counts[depth])
            depth -= 1
            continue
        after = places[depth] + size - depth
        sum_of_gains = _gain(levels.weights[depth], levels.known[depth])
        sum_of_gains += np.sum(levels.gains[depth, places[depth] : after])
        if after > counts[depth] or sum_of_gains <= _needed(search):
            depth -= 1
            continue
        places[depth] += 1
        counts[depth + 1] = _descend(search, levels, depth, places[depth] - 1, counts[depth])
        depth += 1
        places[depth] = 0
    return True


@compiled
def _open(search: Search, root: Branch, prior: FloatArray) -> tuple[int, float]:
    """Bound all sets of one transmitter, as `_relax`."""
    root.known[:] = prior
    root.known[::2] += search.regularization_per_m2
    root.start[:], root.start[1] = 1.0, 0.0
    for n in range(len(search.links) - 1):
        root.members[n] = n + (n >= search.tx)
    return _relax(search, root, len(search.links) - 1, 0)


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
    information, prior
        As for `planning.best_configuration`.
    best
        Smallest ``tr(A^-1)`` that is known, shape ``(1,)``, and its transmitter and receivers,
        ``(1 + N_r,)``; improved in place.
    slack
        Share of ``tr(A^-1)`` that need not be gained; `ROUNDING` for the best of all.
    max_effort
        Gains and sets after whose evaluation the search ends, with the bound that it has then.
    """
    num_nodes, size = len(information), len(best[1]) - 1
    levels = Branch(
        np.empty((size, 3)), np.empty((size, 3)), np.empty((size, 3)),
        np.empty((size, num_nodes), dtype=np.intp), np.empty((size, num_nodes)),
    )  # fmt: skip
    path, effort = np.zeros(size, dtype=np.intp), np.zeros(1, dtype=np.int64)
    bounds_m2 = np.array([-np.sum(links[:, ::2]) for links in information])
    for final in (False, True):  # Bound all transmitters, then search those that may win.
        for tx in np.argsort(bounds_m2, kind="mergesort"):
            search = Search(
                tx, information[tx], path, *best, effort, slack, regularization_per_m2
            )  # fmt: skip
            if final and bounds_m2[tx] * (1.0 + slack) >= best[0][0]:
                break
            count, least = _open(search, _level(levels, 0), prior)
            if not final:
                bounds_m2[tx] = (1.0 - ROUNDING) / least
            elif count > 0:
                _sort(_level(levels, 0), count)
                if not _search_depth_first(search, levels, count, max_effort):
                    return min(bounds_m2[tx], best[0][0] / (1.0 + slack))
    return best[0][0] * (1.0 - ROUNDING) / (1.0 + slack)
