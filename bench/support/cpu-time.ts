/** CPU time of processes by the scheduler's own count, in nanoseconds: ticks of 10 ms are too coarse for short rounds. Linux only. */

import { readdirSync, readFileSync } from 'node:fs'

/** In ms, of all threads of a process and of all below it. Threads that have ended are not counted. */
export function readCpuMs(pid: number): number {
  let sum = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${task}`
    sum += Number(readFileSync(`${folder}/schedstat`, 'utf8').split(' ')[0]) / 1e6
    for (const child of readFileSync(`${folder}/children`, 'utf8').split(' ')) {
      if (child.trim() !== '') sum += readCpuMs(Number(child))
    }
  }
  return sum
}
