/** Black-76: distribution, prices, deltas. Vols are decimals here; vol points only on the wire and on screen. */

const SQRT_2PI = Math.sqrt(2 * Math.PI)

export function normalPdf(x: number): number {
  return Math.exp(-0.5 * x * x) / SQRT_2PI
}

/**
 * The normal distribution function to double precision.
 * G. West, "Better approximations to cumulative normal functions", Wilmott (2005), after Hart (1968).
 */
export function normalCdf(x: number): number {
  const z = Math.abs(x)
  if (z > 37) return x > 0 ? 1 : 0
  const e = Math.exp((-z * z) / 2)
  let tail: number
  if (z < 7.07106781186547) {
    let n = 3.52624965998911e-2 * z + 0.700383064443688
    n = n * z + 6.37396220353165
    n = n * z + 33.912866078383
    n = n * z + 112.079291497871
    n = n * z + 221.213596169931
    n = n * z + 220.206867912376
    let d = 8.83883476483184e-2 * z + 1.75566716318264
    d = d * z + 16.064177579207
    d = d * z + 86.7807322029461
    d = d * z + 296.564248779674
    d = d * z + 637.333633378831
    d = d * z + 793.826512519948
    d = d * z + 440.413735824752
    tail = (e * n) / d
  } else {
    tail = e / ((z + 1 / (z + 2 / (z + 3 / (z + 4 / (z + 0.65))))) * SQRT_2PI)
  }
  return x > 0 ? 1 - tail : tail
}

/** Inverse of `normalCdf`: Acklam's rational approximation, then one Halley step. NaN outside (0, 1). */
export function normalInverse(p: number): number {
  if (!(p > 0 && p < 1)) return Number.NaN
  const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239] as const
  const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572] as const
  const c = [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783] as const
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416] as const
  const low = 0.02425
  let x: number
  if (p < low || p > 1 - low) {
    const q = Math.sqrt(-2 * Math.log(p < low ? p : 1 - p))
    x =
      (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
      ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1)
    if (p > 1 - low) x = -x
  } else {
    const q = p - 0.5
    const r = q * q
    x =
      ((((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q) /
      (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1)
  }
  const step = (normalCdf(x) - p) / normalPdf(x)
  return x - step / (1 + (x * step) / 2)
}

/** d1 at log-moneyness k = ln(strike/forward) and total standard deviation iv·√tau. */
export function d1(k: number, deviation: number): number {
  return -k / deviation + deviation / 2
}

/** Undiscounted Black price over the forward, at log-moneyness k. */
export function blackPrice(k: number, deviation: number, type: 'C' | 'P'): number {
  const up = d1(k, deviation)
  const down = up - deviation
  const strike = Math.exp(k)
  return type === 'C' ? normalCdf(up) - strike * normalCdf(down) : strike * normalCdf(-down) - normalCdf(-up)
}

/** Forward delta: N(d1) of a call, N(d1) − 1 of a put. */
export function forwardDelta(k: number, deviation: number, type: 'C' | 'P'): number {
  const up = d1(k, deviation)
  return type === 'C' ? normalCdf(up) : -normalCdf(-up)
}

/** Premium-adjusted delta of coin-settled options: forward delta less the premium in coin. */
export function premiumAdjustedDelta(k: number, deviation: number, type: 'C' | 'P'): number {
  const down = d1(k, deviation) - deviation
  const strike = Math.exp(k)
  return type === 'C' ? strike * normalCdf(down) : -strike * normalCdf(-down)
}

/** Log-moneyness where an option of this deviation has the signed forward delta. */
export function logMoneynessOfDelta(delta: number, deviation: number): number {
  const up = normalInverse(delta > 0 ? delta : 1 + delta)
  return (deviation / 2 - up) * deviation
}
