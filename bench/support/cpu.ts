/** CPU time of this process for work done by several clients at once. */

/** One piece of work; `index` is never the same twice. */
export type Work = (index: number) => Promise<unknown>

/** Does `count` pieces of work in `clients` loops side by side and answers the CPU microseconds per piece, system's included. */
export async function measureCpu(work: Work, clients: number, count: number, firstIndex: number): Promise<number> {
  let next = firstIndex
  const end = firstIndex + count
  const loop = async (): Promise<void> => {
    while (next < end) await work(next++)
  }
  const before = process.cpuUsage()
  await Promise.all(Array.from({ length: clients }, loop))
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

/**
 * Measures every contender in each of `rounds` rounds, the order turned by one each time, so that a slow moment of
 * the machine falls on all alike. The round before the first warms up and is not counted.
 */
export async function measureInterleaved(
  contenders: Readonly<Record<string, Work>>,
  { clients, count, rounds }: { clients: number; count: number; rounds: number },
): Promise<Map<string, number[]>> {
  const entries = Object.entries(contenders)
  const measured = new Map<string, number[]>(entries.map(([name]) => [name, []]))
  let index = 0
  for (let round = -1; round < rounds; round += 1) {
    for (let turn = 0; turn < entries.length; turn += 1) {
      const entry = entries[(turn + round + 1) % entries.length]
      if (entry === undefined) continue
      const value = await measureCpu(entry[1], clients, count, index)
      index += count
      if (round >= 0) measured.get(entry[0])?.push(value)
    }
  }
  return measured
}
