"""Shapley values of a game whose players are mechanisms: how much of an effect is due to each.

The worth of a coalition is the effect when only its members work. A player's value is its mean contribution over all
orders in which players can join (Shapley 1953, doi:10.1515/9781400881970-018): the values add up to the whole effect, a
player that never changes anything gets 0, and players that do the same get the same. All coalitions are worked out, so
the values are exact.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MOST = 6
"""Players of an exact game: 64 coalitions."""


def coalitions(players: int) -> list[tuple[int, ...]]:
    """All coalitions in the order of their bit mask: player i takes part in coalition c if bit i of c is set."""
    return [tuple(i for i in range(players) if code >> i & 1) for code in range(2**players)]


def shapley_values(worth: Array) -> Array:
    """Shapley values.

    Parameters
    ----------
    worth
        Shape (2**players, ...): worth of every coalition, in the order of `coalitions`.

    Returns
    -------
    Array
        Shape (players, ...). Their sum is `worth[-1] - worth[0]`.

    Raises
    ------
    ValueError
        If the number of coalitions is not a power of two.
    """
    worth = np.asarray(worth, dtype=np.float64)
    players = _players(worth)
    values = np.zeros((players, *worth.shape[1:]))
    for code in range(2**players):
        size = code.bit_count()
        for i in range(players):
            if not code >> i & 1:
                weight = factorial(size) * factorial(players - size - 1) / factorial(players)
                values[i] += weight * (worth[code | 1 << i] - worth[code])
    return values


def interactions(worth: Array) -> Array:
    """Shapley interaction index of every pair (Grabisch and Roubens 1999, doi:10.1007/s001820050125).

    Parameters
    ----------
    worth
        As for `shapley_values`.

    Returns
    -------
    Array
        Shape (players, players, ...), symmetric, 0 on the diagonal: positive where two do more together than the sum
        of what each does alone, negative where one can stand in for the other.
    """
    worth = np.asarray(worth, dtype=np.float64)
    players = _players(worth)
    found = np.zeros((players, players, *worth.shape[1:]))
    for i, j in combinations(range(players), 2):
        both = 1 << i | 1 << j
        for code in range(2**players):
            if code & both:
                continue
            size = code.bit_count()
            weight = factorial(size) * factorial(players - size - 2) / factorial(players - 1)
            gain = worth[code | both] - worth[code | 1 << i] - worth[code | 1 << j] + worth[code]
            found[i, j] += weight * gain
        found[j, i] = found[i, j]
    return found


def _players(worth: Array) -> int:
    players = len(worth).bit_length() - 1
    if len(worth) != 2**players:
        raise ValueError(f"{len(worth)} coalitions are not all of any number of players")
    return players
