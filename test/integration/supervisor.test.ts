import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  createSupervisor,
  type GroupOptions,
  type Supervisor,
  type SupervisorOptions,
} from '../../src/clones/supervisor.ts'
import type { Member } from '../../src/clones/slot.ts'
import { silentLogger } from '../../src/core/log.ts'
import { waitFor } from '../support/wait-for.ts'

const entry = new URL('../support/clone-app.ts', import.meta.url)

function supervise(t: TestContext, options: Partial<SupervisorOptions> = {}): Supervisor {
  const supervisor = createSupervisor({
    log: silentLogger,
    backoff: { firstMs: 20, maxMs: 200 },
    health: { intervalMs: 50, answerMs: 400, killMs: 800 },
    ...options,
  })
  t.after(() => supervisor.stop())
  return supervisor
}

function clones(count: number, settings: object = {}, spec: object = {}): GroupOptions {
  return { kind: 'clone', count, spec: () => ({ entry, settings, graceMs: 2000, ...spec }) }
}

async function ask(member: Member, path: string): Promise<string> {
  assert.ok(member.address !== undefined && 'port' in member.address)
  const response = await fetch(`http://127.0.0.1:${member.address.port}${path}`, { signal: AbortSignal.timeout(5000) })
  return response.text()
}

/** Whether a process runs. One that has ended, and that whoever inherited it has not collected yet, does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !existsSync(`/proc/${pid}/stat`) || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

const readyMember = (supervisor: Supervisor, id: string): Member | undefined =>
  supervisor.members().find((member) => member.id === id && member.state === 'ready')

test('a group starts, grows, shrinks and stops, and no process is left', async (t) => {
  const supervisor = supervise(t)
  await supervisor.run(clones(2))
  const pids = new Set(supervisor.members('clone').map((member) => member.process.pid))
  for (const member of supervisor.members()) assert.equal(await ask(member, '/pid'), String(member.process.pid))
  await supervisor.setCount('clone', 3)
  assert.deepEqual(
    supervisor.members().map((member) => member.id),
    ['clone-1.1', 'clone-2.1', 'clone-3.1'],
  )
  for (const member of supervisor.members()) pids.add(member.process.pid)
  await supervisor.setCount('clone', 1)
  assert.deepEqual(
    supervisor.members().map((member) => member.id),
    ['clone-1.1'],
  )
  await supervisor.stop()
  assert.equal(pids.size, 3)
  for (const pid of pids) assert.equal(isAlive(pid), false)
})

test('a member that crashes or is killed is started again, with another id', async (t) => {
  const supervisor = supervise(t)
  await supervisor.run(clones(1))
  const first = supervisor.members()[0]
  assert.ok(first !== undefined)
  await ask(first, '/crash').catch(() => undefined)
  const second = await waitFor('a second start', () => readyMember(supervisor, 'clone-1.2'))
  process.kill(second.process.pid, 'SIGKILL')
  const third = await waitFor('a third start', () => readyMember(supervisor, 'clone-1.3'))
  assert.equal(await ask(third, '/pid'), String(third.process.pid))
})

test('a member that is stopped by a signal is unresponsive, recovers when it goes on, and is killed when it does not', async (t) => {
  const supervisor = supervise(t, { health: { intervalMs: 50, answerMs: 200, killMs: 1600 } })
  const states: string[] = []
  supervisor.subscribe((event) => void (event.type === 'state' && states.push(event.member.state)))
  await supervisor.run(clones(1))
  const member = supervisor.members()[0]
  assert.ok(member !== undefined)
  process.kill(member.process.pid, 'SIGSTOP')
  await waitFor('the member to be unresponsive', () => member.state === 'unresponsive')
  process.kill(member.process.pid, 'SIGCONT')
  await waitFor('the member to recover', () => member.state === 'ready')
  process.kill(member.process.pid, 'SIGSTOP')
  await waitFor('a replacement', () => readyMember(supervisor, 'clone-1.2'))
  assert.deepEqual(
    states.filter((state) => state !== 'starting'),
    ['ready', 'unresponsive', 'ready', 'unresponsive', 'exited', 'ready'],
  )
  assert.deepEqual(await member.process.exited, { code: null, signal: 'SIGKILL' })
})

test('a member whose event loop hangs is killed and replaced', async (t) => {
  const supervisor = supervise(t)
  await supervisor.run(clones(1))
  const member = supervisor.members()[0]
  assert.ok(member !== undefined)
  const hung = ask(member, '/hang').catch(() => undefined)
  await waitFor('a replacement', () => readyMember(supervisor, 'clone-1.2'))
  await hung
})

test('run fails with the reason, and leaves nothing, if a member cannot start', async (t) => {
  const cases = [
    { settings: { failToStart: 'the app has a mistake' }, reason: /clone-\d did not start: the app has a mistake/ },
    { settings: { exitAtStart: 7 }, reason: /ended with code 7 before it was ready/ },
    { settings: { neverReady: true }, spec: { readyMs: 700 }, reason: /not ready within 700 ms/ },
  ]
  for (const { settings, spec, reason } of cases) {
    const supervisor = supervise(t)
    await assert.rejects(supervisor.run(clones(1, settings, spec)), { code: 'FF_CLONES_START', message: reason })
    assert.deepEqual(supervisor.members(), [])
  }
})

test('a rolling restart starts the new member before it stops the old one', async (t) => {
  const supervisor = supervise(t)
  const seen: string[] = []
  supervisor.beforeStop('clone', async (member) => void seen.push(`before stop ${member.id}`))
  supervisor.subscribe((event) => {
    if (event.type === 'state' && event.member.state !== 'starting')
      seen.push(`${event.member.state} ${event.member.id}`)
  })
  await supervisor.run(clones(1))
  await supervisor.restart('clone')
  assert.deepEqual(seen, [
    'ready clone-1.1',
    'ready clone-1.2',
    'stopping clone-1.1',
    'before stop clone-1.1',
    'exited clone-1.1',
  ])
})

test('a rolling restart to a version that cannot start keeps the old members', async (t) => {
  const supervisor = supervise(t)
  let broken = false
  await supervisor.run({
    kind: 'clone',
    count: 1,
    spec: () => ({ entry, settings: broken ? { failToStart: 'the new version is broken' } : {} }),
  })
  broken = true
  await assert.rejects(supervisor.restart('clone'), /the new version is broken/)
  const kept = readyMember(supervisor, 'clone-1.1')
  assert.ok(kept !== undefined)
  assert.equal(await ask(kept, '/pid'), String(kept.process.pid))
})

test('a restart while a crashed member waits to be started again leaves one process in its place', async (t) => {
  const supervisor = supervise(t, { backoff: { firstMs: 600, maxMs: 600 } })
  await supervisor.run(clones(1))
  const waiting = new Promise<number>((resolve) => {
    supervisor.subscribe((event) => void (event.type === 'restart' && resolve(performance.now() + event.delayMs)))
  })
  process.kill(supervisor.members()[0]?.process.pid ?? Number.NaN, 'SIGKILL')
  const wouldStartAt = await waiting
  await supervisor.restart('clone')
  await waitFor('the delay to be over', () => performance.now() > wouldStartAt + 50)
  assert.deepEqual(
    supervisor.members().map((member) => [member.id, member.state]),
    [['clone-1.2', 'ready']],
  )
})

test('a place whose process was stopped for a successor that cannot start is filled again', async (t) => {
  const supervisor = supervise(t)
  let broken = false
  const spec = (): ReturnType<GroupOptions['spec']> => ({ entry, settings: broken ? { exitAtStart: 7 } : {} })
  await supervisor.run({ kind: 'balancer', count: 1, together: false, spec })
  broken = true
  await assert.rejects(supervisor.restart('balancer'), { code: 'FF_CLONES_START' })
  broken = false
  await waitFor('a process', () => supervisor.members().find((member) => member.state === 'ready'))
  assert.equal(supervisor.members().length, 1)
})

test('a member that does not heed SIGTERM is killed when its grace is over', async (t) => {
  const supervisor = supervise(t)
  await supervisor.run(clones(1, {}, { graceMs: 200 }))
  const member = supervisor.members()[0]
  assert.ok(member !== undefined)
  const unanswered = ask(member, '/slow?ms=60000').catch(() => 'cut off')
  process.kill(member.process.pid, 'SIGSTOP')
  await supervisor.stop()
  assert.deepEqual(await member.process.exited, { code: null, signal: 'SIGKILL' })
  assert.equal(await unanswered, 'cut off')
})

/** A supervisor in a process of its own, and the pids of its two clones. */
async function startSupervisor(t: TestContext): Promise<{ parent: ChildProcess; pids: number[] }> {
  const app = new URL('../support/supervised-app.ts', import.meta.url).pathname
  const parent = spawn(process.execPath, ['-C', 'fourfold:source', app], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => parent.kill('SIGKILL'))
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pids = JSON.parse(line.toString()) as number[]
  assert.equal(pids.length, 2)
  for (const pid of pids) assert.equal(isAlive(pid), true)
  return { parent, pids }
}

test('children stop within a second when their supervisor is killed', async (t) => {
  const { parent, pids } = await startSupervisor(t)
  const killedAt = performance.now()
  parent.kill('SIGKILL')
  await waitFor('the children to be gone', () => pids.every((pid) => !isAlive(pid)))
  assert.ok(performance.now() - killedAt < 1000)
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} stops a supervisor and its children cleanly`, async (t) => {
    const { parent, pids } = await startSupervisor(t)
    // A terminal sends it to everybody.
    for (const pid of [...pids, parent.pid ?? 0]) process.kill(pid, signal)
    assert.deepEqual(await once(parent, 'exit'), [0, null])
    for (const pid of pids) assert.equal(isAlive(pid), false)
  })
}

test('a second Ctrl-C ends at once, also a child that does not stop', async (t) => {
  const { parent, pids } = await startSupervisor(t)
  process.kill(pids[0] ?? 0, 'SIGSTOP')
  parent.kill('SIGINT')
  await waitFor('the other child to stop', () => !isAlive(pids[1] ?? 0))
  // Until it counts as a second one, and not as the first passed on.
  const again = setInterval(() => parent.kill('SIGINT'), 50)
  t.after(() => clearInterval(again))
  assert.deepEqual(await once(parent, 'exit'), [130, null])
  await waitFor('the frozen child to be gone', () => !isAlive(pids[0] ?? 0))
})

test('a clone may not write to the disc by default of the policy, and the error names the file', async (t) => {
  const file = '/tmp/fourfold-refused.txt'
  const supervisor = supervise(t)
  await supervisor.run(clones(1, { writes: 'refuse' }, { writes: 'refuse' }))
  const member = supervisor.members()[0]
  assert.ok(member !== undefined)
  const answer = await ask(member, `/write?file=${file}`)
  assert.match(answer, /this clone may not write to \/tmp\/fourfold-refused\.txt: .*central session/)
  assert.equal(existsSync(file), false)
})

test('with writes reported instead of refused, the write happens and the log names the file', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fourfold-report-'))
  t.after(() => rm(directory, { recursive: true }))
  const [file, logFile] = [join(directory, 'data.txt'), join(directory, 'log')]
  const supervisor = supervise(t)
  await supervisor.run(clones(1, { writes: 'report', logFile }, { writes: 'report' }))
  const member = supervisor.members()[0]
  assert.ok(member !== undefined)
  assert.equal(await ask(member, `/write?file=${file}`), 'written')
  assert.equal(await readFile(file, 'utf8'), 'x')
  const line = JSON.parse(
    (await readFile(logFile, 'utf8')).split('\n').find((text) => text.includes('data.txt')) ?? '{}',
  )
  assert.deepEqual([line.code, line.file], ['FF_CLONE_WRITE_REFUSED', file])
  assert.match(line.msg, /let through, but would be refused by default/)
})
