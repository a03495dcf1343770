/** The last values of something measured, and their quantiles. */
export class Recent {
  private readonly values: Float64Array
  private count = 0

  constructor(size: number) {
    this.values = new Float64Array(size)
  }

  add(value: number): void {
    this.values[this.count % this.values.length] = value
    this.count += 1
  }

  /** Nearest-rank quantiles, or undefined while there is nothing. */
  quantiles(): { p50: number; p95: number; p99: number; count: number } | undefined {
    const size = Math.min(this.count, this.values.length)
    if (size === 0) return undefined
    const sorted = this.values.slice(0, size).toSorted()
    const at = (share: number) => sorted[Math.min(size - 1, Math.ceil(share * size) - 1)] ?? Number.NaN
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99), count: this.count }
  }
}
