/** From the answers of all runs to what is reported: each place that differs once, and each file once. */

import { likelyCause } from './causes.ts'
import { createComparison, type Comparison, type Difference, type Ignored } from './compare.ts'

import type { Answer } from './answer.ts'
import type { Access, Replayed, Step } from './replay.ts'
import type { ScriptRequest } from './script.ts'

/** One replay of the script. */
export interface Run extends Replayed {
  /** How requests were spread. */
  readonly name: string
}

export interface Finding extends Difference {
  readonly request: ScriptRequest
  /** The clone that answered differently in the first run that did. */
  readonly clone: number
  /** The clones that answered this user's requests before it there. */
  readonly clonesBefore: readonly number[]
  /** The names of all runs in which this place differed. */
  readonly runs: readonly string[]
  readonly cause: string | null
}

/** Something that Node's permission model refuses to clones, or counts: once for each line of the app that does it. */
export interface AccessFinding {
  readonly permission: string
  /** The files, each once. */
  readonly resources: readonly string[]
  /** The app's line, or empty. */
  readonly by: string
  /** The requests that did it, in any run; null: it was done before the first. */
  readonly requests: readonly (ScriptRequest | null)[]
}

export interface Findings {
  /** The way that should be gone once more, for most of what is not sure yet; null: all is. */
  readonly toRepeat: string | null
  /** What one clone answered, request by request. */
  readonly replayed: readonly { readonly request: ScriptRequest; readonly status: number }[]
  readonly differences: readonly Finding[]
  readonly accesses: readonly AccessFinding[]
  /** Places that vary on one clone too, by request. */
  readonly noise: readonly { readonly request: ScriptRequest; readonly places: readonly string[] }[]
  /** What went wrong on one clone too, and is therefore no difference. */
  readonly notes: readonly string[]
}

export interface FindOptions {
  readonly singles: readonly [Run, ...Run[]]
  readonly spread: readonly Run[]
  /** Some of the ways once more: what does not differ there again is not a difference of clones. */
  readonly repeated: readonly Run[]
  readonly ignored: Ignored
  /** Paths below which files may be written. */
  readonly ignoredWrites: readonly string[]
}

export function findDifferences({ singles, spread, repeated, ignored, ignoredWrites }: FindOptions): Findings {
  const [first] = singles
  const comparisons = first.steps.map((_, index) => compareStep(singles, index, ignored))
  const found = spread.flatMap((run) => differencesOf(run, first, comparisons)).reduce(mergeSame, [])
  const again = repeated.map((run) => ({ name: run.name, found: differencesOf(run, first, comparisons) }))
  const verdicts = new Map(found.map((finding) => [finding, judge(finding, again)]))
  const isSteady = (finding: Finding): boolean => verdicts.get(finding) !== 'unsteady'
  return {
    replayed: first.steps.map(({ request, answer }) => ({ request, status: answer?.status ?? 0 })),
    toRepeat: mostWanted(
      found.filter((finding) => verdicts.get(finding) === 'open'),
      again,
    ),
    differences: found.filter(isSteady).toSorted((a, b) => indexOf(first, a) - indexOf(first, b)),
    accesses: [...singles, ...spread].flatMap(accessesOf).filter(isReported(ignoredWrites)).reduce(mergeAccess, []),
    noise: comparisons.flatMap((comparison, index) => {
      const { request } = first.steps[index]!
      return comparison === null || comparison.noise.length === 0 ? [] : [{ request, places: comparison.noise }]
    }),
    notes: [...first.steps.flatMap(noteOf), ...found.filter((finding) => !isSteady(finding)).map(unsteadyNote)],
  }
}

interface Again {
  readonly name: string
  readonly found: readonly Finding[]
}

/** A difference of clones is there every time the same way is gone; what is only sometimes there varies by itself. */
function judge(finding: Finding, again: readonly Again[]): 'steady' | 'unsteady' | 'open' {
  const outcomes = finding.runs.map((name) => outcomesOf(finding, name, again))
  if (outcomes.some((seen) => seen.length >= repeats && seen.every(Boolean))) return 'steady'
  return outcomes.every((seen) => seen.includes(false)) ? 'unsteady' : 'open'
}

const repeats = 2

function outcomesOf({ request, place }: Finding, name: string, again: readonly Again[]): readonly boolean[] {
  const runs = again.filter((run) => run.name === name)
  return runs.map(({ found }) => found.some((other) => other.request === request && other.place === place))
}

function mostWanted(open: readonly Finding[], again: readonly Again[]): string | null {
  const wanted = open.flatMap((finding) =>
    finding.runs.filter((name) => !outcomesOf(finding, name, again).includes(false)).slice(0, 1),
  )
  const counts = Map.groupBy(wanted, (name) => name)
  const [most] = [...counts].toSorted(([, a], [, b]) => b.length - a.length)
  return most?.[0] ?? null
}

function compareStep(singles: readonly Run[], index: number, ignored: Ignored): Comparison | null {
  const answers = singles.flatMap(({ steps }) => steps[index]?.answer ?? [])
  const [expected, ...others] = answers
  return expected === undefined ? null : createComparison([expected, ...others], ignored)
}

function differencesOf(run: Run, first: Run, comparisons: readonly (Comparison | null)[]): readonly Finding[] {
  return run.steps.flatMap((step, index) => {
    const expected = first.steps[index]?.answer ?? null
    if (expected === null) return []
    const found = step.answer === null ? [unsent(step, expected)] : (comparisons[index]?.differences(step.answer) ?? [])
    const before = run.steps.slice(0, index).filter(({ request }) => request.user === step.request.user)
    return found.map((difference): Finding => ({
      ...difference,
      request: step.request,
      clone: step.clone,
      clonesBefore: before.map(({ clone }) => clone),
      runs: [run.name],
      cause: likelyCause({ difference, expected, steps: run.steps.slice(0, index + 1) }),
    }))
  })
}

function unsent({ unsent }: Step, { status }: Answer): Difference {
  return { place: 'answer', kind: 'missing', expected: String(status), got: `it could not be sent: ${unsent}` }
}

function mergeSame(found: Finding[], finding: Finding): Finding[] {
  const same = found.findIndex(({ request, place }) => request === finding.request && place === finding.place)
  if (same < 0) return [...found, finding]
  const before = found[same]!
  if (before.runs.includes(finding.runs[0]!)) return [...found, finding]
  return found.with(same, { ...before, runs: [...before.runs, ...finding.runs], cause: before.cause ?? finding.cause })
}

interface OneAccess extends Access {
  readonly request: ScriptRequest | null
}

function accessesOf({ atStart, steps }: Run): readonly OneAccess[] {
  return [
    ...atStart.map((access) => ({ ...access, request: null })),
    ...steps.flatMap(({ accesses, request }) => accesses.map((access) => ({ ...access, request }))),
  ]
}

const isReported =
  (ignored: readonly string[]) =>
  ({ permission, resource }: Access): boolean =>
    permission !== 'FileSystemWrite' || !ignored.some((path) => resource === path || resource.startsWith(`${path}/`))

function mergeAccess(found: AccessFinding[], { permission, resource, by, request }: OneAccess): AccessFinding[] {
  const same = found.findIndex(
    (before) => before.permission === permission && before.by === by && (by !== '' || before.resources[0] === resource),
  )
  if (same < 0) return [...found, { permission, resources: [resource], by, requests: [request] }]
  const { resources, requests } = found[same]!
  return found.with(same, {
    permission,
    by,
    resources: resources.includes(resource) ? resources : [...resources, resource],
    requests: requests.includes(request) ? requests : [...requests, request],
  })
}

const indexOf = ({ steps }: Run, { request }: Finding): number => steps.findIndex((step) => step.request === request)

function unsteadyNote({ request, place, expected, got, runs }: Finding): string {
  const values = `expected ${expected ?? 'nothing'}, got ${got ?? 'nothing'}`
  return `${request.place}: ${place} did not differ every time: ${values} (${runs[0]})`
}

function noteOf({ request, answer }: Step): readonly string[] {
  if (answer === null) return []
  const { status, failure } = answer
  const what = failure ?? (status >= 500 ? `answered ${status}` : null)
  return what === null ? [] : [`${request.place}: ${what}, on one clone as well`]
}
