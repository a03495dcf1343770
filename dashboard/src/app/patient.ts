const AGAIN_MS = 2000

/** Code that cannot be had, because the server is gone for a moment, is asked for again until it comes. */
export async function patient<T>(load: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await load()
    } catch {
      await new Promise((resolve) => {
        setTimeout(resolve, AGAIN_MS)
      })
    }
  }
}
