"""Arithmetic that vectorises: what the laws use instead of branches and of library calls.

`log` and `exp` here are written out, because a call to the mathematical library inside a loop keeps the compiler from
evaluating several subjects at once. Their errors (below 1e-9 over the ranges stated) are far under the
uncertainty of any parameter, and a test compares them with the library's.
"""

from __future__ import annotations

from math import sqrt

from locokine._jit import exponent, law, mantissa


@law
def log(x: float) -> float:
    """Natural logarithm for normal x > 0: e ln 2 + 2 artanh((m - 1)/(m + 1)), with x = m 2^e and m within √2 of 1."""
    m, e = mantissa(x), exponent(x)
    half = 1.0 * (m > 1.4142135623730951)
    m = m * (1.0 - 0.5 * half)
    t = (m - 1.0) / (m + 1.0)
    q = t * t
    tail = 1.0 / 9.0 + q * (1.0 / 11.0 + q * (1.0 / 13.0 + q / 15.0))
    return (e + half) * 0.6931471805599453 + 2.0 * t * (1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * tail))))


@law
def exp(x: float) -> float:
    """Exponential for |x| < 30: a Taylor polynomial of x/1024, squared ten times."""
    y = x * 0.0009765625
    p = 1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0 + y * (1.0 / 24.0 + y * (1.0 / 120.0 + y / 720.0)))))
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


@law
def power(x: float, to: float) -> float:
    """x to a real power, for x in the range of `log`."""
    return exp(to * log(x))


@law
def positive(x: float, width: float) -> float:
    """Smooth max(x, 0); equals width/2 at x = 0 and approaches 0 and x far from it."""
    return 0.5 * (x + sqrt(x * x + width * width))


@law
def largest(a: float, b: float) -> float:
    """max(a, b) without a branch."""
    return 0.5 * (a + b + abs(a - b))


@law
def smallest(a: float, b: float) -> float:
    """min(a, b) without a branch."""
    return 0.5 * (a + b - abs(a - b))


@law
def smooth_min(a: float, b: float, width: float) -> float:
    """Smooth min(a, b)."""
    return b - positive(b - a, width)


@law
def hill(c: float, half: float) -> float:
    """Saturation c/(c + half)."""
    return c / (c + half)


@law
def hill2(c: float, half: float) -> float:
    """Saturation with exponent 2, c²/(c² + half²)."""
    return c * c / (c * c + half * half)


@law
def gain(z: float) -> float:
    """exp(z) for z >= 0 by its series to the fourth power (1e-4 relative at z = 0.5)."""
    return 1.0 + z * (1.0 + z * (0.5 + z * (1.0 / 6.0 + z / 24.0)))


@law
def decay(z: float) -> float:
    """exp(-z) for z >= 0 as 1/`gain`: positive, stable for any step."""
    return 1.0 / gain(z)


@law
def relax(x: float, source: float, rate: float, dt: float) -> float:
    """Advance dx/dt = source - rate x by `dt`: positive for source, rate >= 0, exact in the limit of small and large steps."""
    z = rate * dt
    d = decay(z)
    return x * d + source * dt * (1.0 + z * (0.5 + z * (1.0 / 6.0 + z / 24.0))) * d


@law
def normal_cdf(z: float) -> float:
    """Standard normal distribution function, absolute error below 2e-4 (Bowling et al. 2009, logistic approximation)."""
    z = smallest(largest(z, -6.0), 6.0)
    return 1.0 / (1.0 + exp(-(1.5976 * z + 0.07056 * z * z * z)))
