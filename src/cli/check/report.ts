/** What was found, for people. */

import { relative } from 'node:path'

import type { AccessFinding, Finding, Findings } from './findings.ts'
import type { ScriptRequest, Text } from './script.ts'

export interface Extent {
  readonly requests: number
  readonly clones: number
  readonly ways: number
  /** Whether writes were refused, and not let through. */
  readonly refused: boolean
  /** The folder that paths are shown from. */
  readonly here: string
}

/** So many differences of one request are shown; the JSON report has all. */
const shownPerRequest = 5

export function describeFindings({ replayed, differences, accesses, noise, notes }: Findings, extent: Extent): string {
  const byRequest = Map.groupBy(differences, ({ request }) => request)
  const varying = noise.reduce((sum, { places }) => sum + places.length, 0)
  const blocks = [
    ...[...byRequest].map(([request, found]) => describeRequest(request, found)),
    ...accesses.map((access) => describeAccess(access, extent)),
    ...(notes.length === 0
      ? []
      : [['Not a difference, but perhaps not meant:', ...notes.map((note) => `  ${note}`)].join('\n')]),
  ]
  const counts = `${count(extent.requests, 'request')}, ${extent.clones} clones, ${count(extent.ways, 'way')} to spread them`
  const result = `${differences.length === 0 ? 'No difference' : count(differences.length, 'difference')} in ${counts}. ${countAccesses(accesses)}.`
  const left =
    varying === 0
      ? ''
      : ` Not compared: ${count(varying, 'place')} that ${varying === 1 ? 'varies' : 'vary'} on one clone too.`
  return [...blocks, `${result}${left}\nOne clone answered ${countStatuses(replayed)}.`].join('\n\n')
}

/** So that a script whose every answer is the same 404 does not pass for a proof. */
function countStatuses(replayed: Findings['replayed']): string {
  const statuses = Map.groupBy(replayed, ({ status }) => (status === 0 ? 'nothing' : String(status)))
  return [...statuses].map(([status, found]) => `${status} (${count(found.length, 'time')})`).join(', ')
}

function describeRequest(request: ScriptRequest, found: readonly Finding[]): string {
  const causes = [...new Set(found.flatMap(({ cause }) => cause ?? []))]
  const byAnswer = Map.groupBy(found.slice(0, shownPerRequest), describeAnswer)
  return [
    `${request.place}  ${nameOf(request)}`,
    ...[...byAnswer].flatMap(([answer, group]) => [...group.map(describeDifference), answer]),
    ...(found.length > shownPerRequest ? [`  and ${count(found.length - shownPerRequest, 'more difference')}`] : []),
    ...causes.slice(0, 2).map((cause) => `  likely: ${cause}`),
  ].join('\n')
}

function describeDifference({ place, expected, got }: Finding): string {
  return `  ${place}: expected ${expected ?? 'nothing'}, got ${got ?? 'nothing'}`
}

function describeAnswer({ clone, clonesBefore, runs }: Finding): string {
  const before = clonesBefore.at(-1)
  const others = before === undefined ? `its user's first request` : `clone ${before} answered this user before`
  return `    by clone ${clone} (${others}), when ${runs.map(phrase).join('; when ')}`
}

const phrase = (run: string): string =>
  ({ 'reads apart from writes': 'reads go to another clone than writes', 'back and forth': 'two clones alternate' })[
    run
  ] ?? (run.startsWith('at random') ? `spread ${run}` : run)

function describeAccess({ permission, resources, by, requests }: AccessFinding, { here, refused }: Extent): string {
  const [first] = requests
  const where = first === null || first === undefined ? 'before the first request' : `${first.place}  ${nameOf(first)}`
  const more = requests.length > 1 ? ` and ${count(requests.length - 1, 'more request')}` : ''
  const what =
    permission === 'FileSystemWrite' ? `writes ${filesOf(resources, here)}` : `uses ${permission} ${resources[0] ?? ''}`
  const outcome = refused ? 'Node refused it, whatever the app made of that' : 'it was let through'
  return [
    `${where}${more}`,
    `  ${what.trim()}${by === '' ? '' : `, at ${shorten(by, here)}`}; ${outcome}`,
    `  likely: ${permission === 'FileSystemWrite' ? 'data that belongs into the database, the session or the store' : 'work that clones may not do under writes: refuse'}`,
  ].join('\n')
}

function filesOf(resources: readonly string[], here: string): string {
  const [first = '', ...others] = resources
  return others.length === 0
    ? shorten(first, here)
    : `${shorten(first, here)} and ${count(others.length, 'other file')}`
}

function shorten(path: string, here: string): string {
  const near = relative(here, path)
  return near.startsWith('..') ? path : near
}

function countAccesses(accesses: readonly AccessFinding[]): string {
  const files = new Set(
    accesses.flatMap(({ permission, resources }) => (permission === 'FileSystemWrite' ? resources : [])),
  )
  return `${count(files.size, 'file')} written`
}

/** The request as people know it: its line, and what stands behind `###`. */
export function nameOf({ method, target, title }: ScriptRequest): string {
  return `${method} ${showText(target)}${title === '' ? '' : `   (${title})`}`
}

export function showText(text: Text): string {
  return text
    .map((piece) => {
      if (typeof piece === 'string') return piece
      if (piece instanceof Uint8Array) return '…'
      return piece.kind === 'variable' ? `{{${piece.name}}}` : `{{${piece.request}…${piece.path}}}`
    })
    .join('')
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
