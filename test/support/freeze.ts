/** Processes that stand still, as after SIGSTOP, an overloaded machine or a debugger. */

/**
 * Stops these processes and answers how to let them go on, which may be called more than once. One that ended in the
 * meantime, as a server's helpers do at any moment, counts as stopped.
 */
export function freeze(pids: readonly number[]): () => void {
  for (const pid of pids) signal(pid, 'SIGSTOP')
  return () => {
    for (const pid of pids) signal(pid, 'SIGCONT')
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
