/**
 * Runs a command as a container would: a file system that nobody can write to but `/tmp`, which is new and in memory; a
 * user without any right; if asked, as process 1 of its own processes. By Linux's own namespaces; needs root.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { TestContext } from 'node:test'

export const canIsolate = process.platform === 'linux' && process.getuid?.() === 0

export interface IsolatedOptions {
  /** Mounts inside which nothing can be written: `/` and those given. */
  readonly readOnly: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
  /** Whether it is process 1. Default: false. */
  readonly asInit?: boolean
}

export interface Isolated {
  readonly child: ChildProcess
  readonly output: () => string
}

const nobody = 65_534
/** Where the program of Node is seen: its own place may be below `/tmp`, or in a home that nobody else may enter. */
const shelf = '/mnt'
/** The program of Node inside. */
export const isolatedNode: string = `${shelf}/node`

/** The directory of the command comes last: it is where the mount is seen, and not what was below it. */
const script = `set -e
mount --make-rprivate /
while [ "$1" != -- ]; do mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; done; shift
mount -t tmpfs -o mode=0755 tmpfs ${shelf}
touch ${shelf}/node
mount --bind "$NODE" ${shelf}/node
mount -o remount,bind,ro ${shelf}
mount -o remount,bind,ro /
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
[ "$PROC" = 1 ] && mount -t proc proc /proc
cd "$PLACE"
unset PROC PLACE NODE
exec setpriv --reuid=${nobody} --regid=${nobody} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- "$@"`

export function runIsolated(t: TestContext, command: readonly string[], options: IsolatedOptions): Isolated {
  const { readOnly, cwd, env, asInit = false } = options
  const kind = asInit ? ['--mount', '--pid', '--fork', '--kill-child'] : ['--mount']
  const seen = command.map((word) => (word === process.execPath ? isolatedNode : word))
  const child = spawn('unshare', [...kind, 'sh', '-c', script, 'sh', ...readOnly, '--', ...seen], {
    env: {
      PATH: process.env['PATH'],
      PROC: asInit ? '1' : '0',
      PLACE: cwd,
      NODE: process.execPath,
      FF_TEST_RUN: process.env['FF_TEST_RUN'],
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
  t.after(() => {
    // Who becomes another user loses the wish to end with his parent. The end of process 1 is the end of all of its.
    for (const pid of asInit ? childrenOf(child.pid ?? 0) : []) process.kill(pid, 'SIGKILL')
    child.kill('SIGKILL')
  })
  return { child, output: () => text }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)
  } catch {
    return []
  }
}
