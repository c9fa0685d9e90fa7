/**
 * What every benchmark and harness hands in: `bench/results/NAME.json` for machines, and a table with goal and
 * verdict per row for people.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'

/** The number that a row must not pass, or must reach. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number }

export interface Measurement {
  readonly contender: string
  readonly metric: string
  readonly unit: string
  /** One value per run. */
  readonly values: readonly number[]
  /** Held against the median. */
  readonly goal?: Goal
}

export interface ReportRow {
  readonly contender: string
  readonly metric: string
  readonly unit: string
  readonly median: number
  readonly min: number
  readonly max: number
  /** How many runs there were. */
  readonly runs: number
  readonly values: readonly number[]
  readonly goal?: string
  readonly verdict?: 'met' | 'missed'
}

export interface Report {
  add(measurement: Measurement): void
  /** Writes the file, prints the table, and answers whether every goal was met. */
  finish(): boolean
}

export interface ReportOptions {
  /** The name under which it was run. */
  readonly name: string
  /** Default: how this process was called. */
  readonly command?: string
  /** Default: `bench/results`. */
  readonly directory?: string
  readonly print?: (line: string) => void
}

/** Makes an empty report. */
export function createReport(options: ReportOptions): Report {
  const { name, directory = join('bench', 'results'), print = console.log } = options
  const results: ReportRow[] = []
  return {
    add: (measurement) => void results.push(summarise(measurement)),
    finish() {
      const command = options.command ?? ['node', ...process.argv.slice(1).map(shorten)].join(' ')
      const report = { name, machine: describeMachine(), date: new Date().toISOString(), command, results }
      mkdirSync(directory, { recursive: true })
      const path = join(directory, `${name}.json`)
      writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`)
      for (const line of renderTable(results)) print(line)
      print(`\n${path}`)
      return results.every(({ verdict }) => verdict !== 'missed')
    },
  }
}

/** The middle of some numbers; the mean of the two middle ones where their count is even. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? Number.NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper
}

function summarise({ contender, metric, unit, values, goal }: Measurement): ReportRow {
  if (values.length === 0) throw new Error(`${contender}, ${metric}: there is no value`)
  const row = {
    contender,
    metric,
    unit,
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    runs: values.length,
    values,
  }
  if (goal === undefined) return row
  const met = 'atMost' in goal ? row.median <= goal.atMost : row.median >= goal.atLeast
  const text = 'atMost' in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`
  return { ...row, goal: text, verdict: met ? 'met' : 'missed' }
}

function renderTable(rows: readonly ReportRow[]): readonly string[] {
  const head = ['contender', 'metric', 'median', 'min', 'max', 'unit', 'runs', 'goal', 'verdict']
  const cells = rows.map((row) => [
    row.contender,
    row.metric,
    ...[row.median, row.min, row.max].map(round),
    row.unit,
    String(row.runs),
    row.goal ?? '',
    row.verdict ?? '',
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...cells.map((line) => line[column]?.length ?? 0)))
  const pad = (cell: string, column: number): string => {
    const width = widths[column] ?? 0
    return isNumeric(column) ? cell.padStart(width) : cell.padEnd(width)
  }
  const format = (line: readonly string[]): string => line.map(pad).join('  ').trimEnd()
  return [format(head), format(widths.map((width) => '-'.repeat(width))), ...cells.map(format)]
}

function isNumeric(column: number): boolean {
  return (column >= 2 && column <= 4) || column === 6
}

function round(value: number): string {
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
}

function describeMachine(): string {
  const processors = cpus()
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  return `${processors.length} × ${processors[0]?.model.trim() ?? 'cpu'}, ${memory}, ${type()} ${release()} ${arch()}, Node ${process.version}`
}

/** Paths from where the command was given, so that a report says nothing of the machine's folders. */
function shorten(argument: string): string {
  return argument.startsWith(process.cwd()) ? argument.slice(process.cwd().length + 1) : argument
}
