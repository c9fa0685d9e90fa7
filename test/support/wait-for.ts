/** Waits until a condition holds, asking every few milliseconds; fails when the deadline is over. */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  withinMs = 5000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const value = await condition()
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
