/** The last `size` items, oldest first. */
export class Ring<T> {
  private kept: T[] = []
  private start = 0
  private ordered: readonly T[] | undefined

  constructor(private readonly size: number) {}

  add(item: T): void {
    this.ordered = undefined
    if (this.kept.length < this.size) {
      this.kept.push(item)
      return
    }
    this.kept[this.start] = item
    this.start = (this.start + 1) % this.size
  }

  /** The same array until the next item comes. */
  items(): readonly T[] {
    this.ordered ??= [...this.kept.slice(this.start), ...this.kept.slice(0, this.start)]
    return this.ordered
  }
}
