/** `fourfold jobs`: what waits, runs and has failed; and what one may do about it. */

import { FourfoldError } from '../core/errors.ts'
import { formatDuration } from '../core/duration.ts'
import { openBeside } from './open-beside.ts'
import { loadCommand, type CommonOptions } from './settings.ts'

import type { Jobs } from '../jobs/jobs.ts'
import type { JobStatus } from '../jobs/status.ts'

export interface JobsOptions extends CommonOptions {
  readonly show?: string
  readonly failed?: boolean
  readonly retry?: string
  readonly cancel?: string
  readonly pause?: string
  readonly resume?: string
  readonly json?: boolean
}

/** @throws FF_JOB_ID, and what opening the app throws */
export async function jobs(file: string, options: JobsOptions): Promise<void> {
  const command = await loadCommand(file, options)
  const names = new Set((command.app.definition.jobs ?? []).map(({ contract }) => contract.name))
  const ff = await openBeside(command)
  try {
    const { value, lines } = await carryOut(ff.jobs, options, names)
    if (options.json === true) console.log(JSON.stringify(value, null, 2))
    else for (const line of lines) console.log(line)
  } finally {
    await ff.close()
  }
}

const mostListed = 100

interface Told {
  readonly value: unknown
  readonly lines: readonly string[]
}

async function carryOut(of: Jobs, options: JobsOptions, names: ReadonlySet<string>): Promise<Told> {
  const { show, failed, retry, cancel, pause, resume } = options
  if (show !== undefined) return await showOne(of, show)
  if (failed === true) return listed(await of.failed({ limit: mostListed + 1 }))
  if (retry !== undefined) {
    // A number is a job, anything else a name.
    const count = await of.retry(/^\d+$/.test(retry) ? retry : { name: retry })
    return { value: { retried: count }, lines: [`${count} wait${count === 1 ? 's' : ''} again`] }
  }
  if (cancel !== undefined) {
    const done = await of.cancel(cancel)
    return {
      value: { cancelled: done },
      lines: [done ? `${cancel} is cancelled` : `${cancel} is finished, or there is none`],
    }
  }
  if (pause !== undefined) {
    await of.pause(pause)
    const lines = [`${pause} is paused: no more of it is begun`]
    // It may be another build's.
    if (!names.has(pause)) lines.push(`This app has no job of that name: ${[...names].join(', ') || 'it has none'}`)
    return { value: { paused: pause, known: names.has(pause) }, lines }
  }
  if (resume !== undefined) {
    await of.resume(resume)
    return { value: { resumed: resume }, lines: [`${resume} goes on`] }
  }
  return await overview(of)
}

async function overview(of: Jobs): Promise<Told> {
  const counts = await of.counts()
  const lines = counts.map(({ name, scheduled, waiting, running, failed, paused, oldestMs }) => {
    const oldest = waiting > 0 ? `, the oldest for ${formatDuration(Math.round(oldestMs / 1000) * 1000)}` : ''
    return `${name}: ${waiting} wait${oldest}, ${running} run, ${scheduled} for later, ${failed} failed${paused ? ' (paused)' : ''}`
  })
  return { value: counts, lines: lines.length === 0 ? ['nothing waits, runs or has failed'] : lines }
}

async function showOne(of: Jobs, id: string): Promise<Told> {
  const status = await of.find(id)
  if (status === null) throw new FourfoldError('FF_JOB_ID', `There is no job ${id}, or none any more`)
  const { record, progress, message, output } = status
  const lines = [
    lineOf(status),
    `ordered ${new Date(record.orderedAtMs).toISOString()}${status.owner === null ? '' : ` by ${status.owner}`}`,
    `input ${JSON.stringify(record.input)}`,
    ...(progress === null ? [] : [`progress ${Math.round(progress * 100)} % ${message ?? ''}`]),
    ...(status.state === 'done' ? [`output ${JSON.stringify(output)}`] : []),
    ...record.errors.map(({ attempt, at, message: text, stack }) => `attempt ${attempt} at ${at}: ${stack ?? text}`),
  ]
  return { value: record, lines }
}

function listed(found: readonly JobStatus[]): Told {
  const all = found.slice(0, mostListed)
  const lines = all.map((status) => `${lineOf(status)}: ${status.error?.message ?? ''}`)
  if (found.length > all.length) lines.push(`These are the newest ${mostListed}; there are more.`)
  return { value: all.map(({ record }) => record), lines: lines.length === 0 ? ['nothing has failed'] : lines }
}

function lineOf({ id, name, state, record }: JobStatus): string {
  return `${id} ${name} ${state}, attempt ${record.attempt} of ${record.attempts}`
}
