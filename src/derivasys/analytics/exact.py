"""Decisions of the certificate in rational arithmetic, for the few cases doubles cannot decide.

A double is a rational number, so P and the crossing quartic of `analytics.arbitrage` have rational coefficients and
Sturm's theorem counts their real roots without rounding. Milliseconds a call; plain Python.
"""

from fractions import Fraction
from itertools import pairwise

Polynomial = list[Fraction]
Row = list[float]


def _trim(p: Polynomial) -> Polynomial:
    """Return p without leading zeros (coefficients ascend; the zero polynomial is empty)."""
    end = len(p)
    while end and p[end - 1] == 0:
        end -= 1
    return p[:end]


def _add(x: Polynomial, y: Polynomial, scale: Fraction | int = 1) -> Polynomial:
    """Return x + scale y."""
    out = [Fraction(0)] * max(len(x), len(y))
    for i, c in enumerate(x):
        out[i] += c
    for i, c in enumerate(y):
        out[i] += scale * c
    return _trim(out)


def _multiply(x: Polynomial, y: Polynomial) -> Polynomial:
    """Return x y."""
    if not x or not y:
        return []
    out = [Fraction(0)] * (len(x) + len(y) - 1)
    for i, c in enumerate(x):
        for j, d in enumerate(y):
            out[i + j] += c * d
    return _trim(out)


def _divide(x: Polynomial, y: Polynomial) -> tuple[Polynomial, Polynomial]:
    """Return (quotient, remainder) of x / y."""
    rest = list(x)
    quotient = [Fraction(0)] * max(len(x) - len(y) + 1, 0)
    for i in range(len(x) - len(y), -1, -1):
        factor = rest[i + len(y) - 1] / y[-1]
        quotient[i] = factor
        for j, c in enumerate(y):
            rest[i + j] -= factor * c
    return _trim(quotient), _trim(rest)


def _derivative(p: Polynomial) -> Polynomial:
    """Return p'."""
    return _trim([i * c for i, c in enumerate(p)][1:])


def _monic(p: Polynomial) -> Polynomial:
    """Return p over its leading coefficient's absolute value (signs kept, numbers kept small)."""
    return [c / abs(p[-1]) for c in p]


def _gcd(x: Polynomial, y: Polynomial) -> Polynomial:
    """Return the monic greatest common divisor."""
    while y:
        x, y = y, _divide(x, y)[1]
        if y:
            y = _monic(y)
    return [c / x[-1] for c in x]


def _value(p: Polynomial, at: Fraction) -> Fraction:
    """Return p(at)."""
    total = Fraction(0)
    for c in reversed(p):
        total = total * at + c
    return total


def _odd_part(p: Polynomial) -> Polynomial:
    """Return the product of p's distinct factors of odd multiplicity (Yun): where p changes sign."""
    odd: Polynomial = [Fraction(1)]
    d = _derivative(p)
    common = _gcd(p, d) if d else [Fraction(1)]
    b, c = _divide(p, common)[0], _divide(d, common)[0]
    multiplicity = 1
    while len(b) > 1:
        rest = _add(c, _derivative(b), -1)
        factor = _gcd(b, rest) if rest else [x / b[-1] for x in b]
        if multiplicity % 2:
            odd = _multiply(odd, factor)
        b = _divide(b, factor)[0]
        c = _divide(rest, factor)[0] if rest else []
        multiplicity += 1
    return odd


def _sturm(p: Polynomial) -> list[Polynomial]:
    """Return the Sturm chain of a square-free p."""
    chain = [p, _derivative(p)]
    while len(chain[-1]) > 1:
        rest = [-c for c in _divide(chain[-2], chain[-1])[1]]
        if not rest:
            break
        chain.append(_monic(rest))
    return [q for q in chain if q]


def _changes(signs: list[int]) -> int:
    """Return the sign changes, zeros left out."""
    kept = [s for s in signs if s]
    return sum(1 for a, b in pairwise(kept) if a != b)


def _sign(x: Fraction) -> int:
    """Return -1, 0 or 1."""
    return (x > 0) - (x < 0)


def _changes_at(chain: list[Polynomial], at: Fraction) -> int:
    """Return the chain's sign changes at a point."""
    return _changes([_sign(_value(p, at)) for p in chain])


def _changes_at_infinity(chain: list[Polynomial]) -> int:
    """Return the chain's sign changes at +infinity."""
    return _changes([_sign(p[-1]) for p in chain])


def lee(row: Row) -> bool:
    """Return whether b (1 + |rho|) <= 2 exactly."""
    return Fraction(row[1]) * (1 + abs(Fraction(row[2]))) <= 2


def positive(row: Row) -> bool:
    """Return whether a + b sigma sqrt(1 - rho**2) > 0 exactly."""
    a, b, rho, _, sigma = (Fraction(x) for x in row)
    lift_squared = (b * sigma) ** 2 * (1 - rho * rho)
    return a > 0 or (a == 0 and lift_squared > 0) or (a < 0 and a * a < lift_squared)


def butterfly_polynomial(row: Row) -> Polynomial:
    """Return the coefficients of P (ascending) exactly; see `analytics.arbitrage`."""
    a, b, rho, m, sigma = (Fraction(x) for x in row)
    width = _trim([b * sigma / 2 * (1 - rho), a, b * sigma / 2 * (1 + rho)])
    d = [Fraction(1), Fraction(0), Fraction(1)]
    n = _trim([rho - 1, Fraction(0), 1 + rho])
    k = _trim([-sigma, 2 * m, sigma])
    top = _add(_multiply([Fraction(4)], _multiply(width, d)), _multiply([b], _multiply(k, n)), -1)
    wide = _add(width, [Fraction(0), Fraction(4)])
    second = _multiply([b * b], _multiply(_multiply(n, n), _multiply(width, wide)))
    tail = _multiply([Fraction(0)] * 3 + [64 * b / sigma], _multiply(width, width))
    return _add(_multiply(d, _add(_multiply(top, top), second, -1)), tail)


def butterfly(row: Row) -> bool:
    """Return whether P >= 0 on (0, infinity) exactly: no root of odd multiplicity there and a positive end."""
    p = butterfly_polynomial(row)
    while p and p[0] == 0:
        p = p[1:]
    if len(p) <= 1:
        return not p or p[0] > 0
    if p[-1] < 0:
        return False
    odd = _odd_part(p)
    if len(odd) <= 1:
        return True
    chain = _sturm(odd)
    return _changes_at(chain, Fraction(0)) == _changes_at_infinity(chain)


def _gap_parts(first: Row, second: Row) -> tuple[Polynomial, Polynomial, Polynomial]:
    """Return (L, B, C): the gap is L + sqrt(B) - sqrt(C), polynomials in k."""
    a1, b1, rho1, m1, sigma1 = (Fraction(x) for x in first)
    a2, b2, rho2, m2, sigma2 = (Fraction(x) for x in second)
    line = _trim([a2 - a1 - b2 * rho2 * m2 + b1 * rho1 * m1, b2 * rho2 - b1 * rho1])
    later = _trim([b2 * b2 * (m2 * m2 + sigma2 * sigma2), -2 * b2 * b2 * m2, b2 * b2])
    earlier = _trim([b1 * b1 * (m1 * m1 + sigma1 * sigma1), -2 * b1 * b1 * m1, b1 * b1])
    return line, later, earlier


def _gap_sign(parts: tuple[Polynomial, Polynomial, Polynomial], at: Fraction) -> int:
    """Return the exact sign of L + sqrt(B) - sqrt(C) at a rational k, by squaring."""
    line, b, c = (_value(p, at) for p in parts)
    if line < 0 and line * line > b:
        return -1
    x, y = line * line + b - c, 2 * line
    if x >= 0 and y >= 0:
        return 1 if x > 0 or (y > 0 and b > 0) else 0
    if x <= 0 and y <= 0:
        return -1 if x < 0 or (y < 0 and b > 0) else 0
    return _sign(x) * _sign(x * x - y * y * b)


def _isolate(chain: list[Polynomial], low: Fraction, high: Fraction) -> list[tuple[Fraction, Fraction]]:
    """Return half-open intervals (low, high], ascending, each with exactly one root of the chain's polynomial."""
    count = _changes_at(chain, low) - _changes_at(chain, high)
    if count == 0:
        return []
    if count == 1:
        return [(low, high)]
    middle = (low + high) / 2
    return _isolate(chain, low, middle) + _isolate(chain, middle, high)


def calendar(first: Row, second: Row) -> bool:
    """Return whether w_second >= w_first on all of R exactly.

    The gap can change sign only at real roots of (L**2 + B - C)**2 - 4 L**2 B; its exact sign is taken once between
    each two neighbouring roots and once beyond the outermost.
    """
    parts = _gap_parts(first, second)
    line, b, c = parts
    square = _multiply(line, line)
    inner = _add(_add(square, b), c, -1)
    quartic = _add(_multiply(inner, inner), _multiply(square, b), -4)
    if len(quartic) <= 1:
        return all(_gap_sign(parts, Fraction(at)) >= 0 for at in (-1, 0, 1))
    d = _derivative(quartic)
    free = _divide(quartic, _gcd(quartic, d))[0] if d else quartic
    bound = 1 + max(abs(x / free[-1]) for x in free)
    chain = _sturm(free)
    roots = _isolate(chain, -bound, bound)
    samples = [-bound, bound]
    for (_, high), (low, top) in pairwise(roots):
        left, right = low, top
        while left <= high:  # move the next interval's start beyond the previous root
            middle = (left + right) / 2
            if _changes_at(chain, left) - _changes_at(chain, middle) == 0:
                left = middle
            else:
                right = middle
            if right <= high:  # pragma: no cover - intervals are disjoint
                break
            if left == low and right - left < Fraction(1, 10**40):
                break
        samples.append((high + left) / 2 if left > high else left)
    return all(_gap_sign(parts, at) >= 0 for at in samples)
