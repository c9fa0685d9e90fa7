/** What a load against several hosts must show, whatever was done to them meanwhile. */

import type { Asked } from './client.ts'

/** Requests whose answer is not the app's, as `METHOD status`, with how many there were. */
export function failures(asked: readonly Asked[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { method, status, error } of asked) {
    if (status === 200) continue
    const name = `${method} ${status ?? error}`
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

/** The same, without those writes that had been sent to a clone which cannot say what became of them. */
export function unexplained(asked: readonly Asked[]): Record<string, number> {
  const explained = new Set(['POST 502', 'POST 504'])
  return Object.fromEntries(Object.entries(failures(asked)).filter(([name]) => !explained.has(name)))
}

/** Writes that were carried out more than once though they may not be, or answered and not carried out. */
export function miscounted(asked: readonly Asked[], carriedOut: readonly string[]): string[] {
  const times = new Map<string, number>()
  for (const line of carriedOut) {
    const [method, path] = line.split(' ')
    times.set(`${method} ${path}`, (times.get(`${method} ${path}`) ?? 0) + 1)
  }
  return asked
    .filter(({ method }) => method === 'POST')
    .flatMap(({ method, path, status }) => {
      const count = times.get(`${method} ${path}`) ?? 0
      return count > 1 || (status === 200 && count === 0)
        ? [`${method} ${path}: ${count} times, answered ${status}`]
        : []
    })
}

/** Requests that this process carried out after another one had: late, and perhaps over something newer. */
export function late(carriedOut: readonly string[], pid: number): string[] {
  const done = new Set<string>()
  const found: string[] = []
  for (const line of carriedOut) {
    const [method, path, by] = line.split(' ')
    const name = `${method} ${path}`
    if (by === String(pid) && done.has(name)) found.push(name)
    done.add(name)
  }
  return found
}

/** Readers, one a client of the load, that were answered by a smaller build than before. */
export function backward(asked: readonly Asked[]): string[] {
  const seen = new Map<string, number>()
  const found: string[] = []
  for (const { path, build } of asked.toSorted((a, b) => a.at - b.at)) {
    if (build === null) continue
    const reader = path.split('-').slice(0, -1).join('-')
    if (build < (seen.get(reader) ?? 0)) found.push(`${path}: build ${build} after ${seen.get(reader)}`)
    seen.set(reader, Math.max(build, seen.get(reader) ?? 0))
  }
  return found
}

export function slowest(asked: readonly Asked[], method: string): number {
  return Math.max(0, ...asked.filter((one) => one.method === method).map(({ ms }) => ms))
}
