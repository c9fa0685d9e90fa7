import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { createReport, median, type ReportRow } from '../../bench/support/report.ts'
import { forbiddenLicences, isAllowed } from '../../scripts/licences.ts'

it('a report holds every row with median, span and verdict, and says whether all goals were met', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'report-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const lines: string[] = []
  const report = createReport({
    name: 'x',
    command: 'npm run bench -- x',
    directory,
    print: (line) => lines.push(line),
  })
  report.add({
    contender: 'ours',
    metric: 'overhead',
    unit: 'fraction',
    values: [0.04, 0.02, 0.09],
    goal: { atMost: 0.05 },
  })
  report.add({ contender: 'ours', metric: 'share', unit: 'fraction', values: [0.5], goal: { atLeast: 0.6 } })
  assert.equal(report.finish(), false)
  const written = JSON.parse(readFileSync(join(directory, 'x.json'), 'utf8')) as Record<string, unknown>
  const [first, second] = written['results'] as ReportRow[]
  assert.deepEqual([first?.median, first?.min, first?.max, first?.runs, first?.verdict], [0.04, 0.02, 0.09, 3, 'met'])
  assert.equal(second?.verdict, 'missed')
  assert.equal(written['command'], 'npm run bench -- x')
  assert.match(lines.join('\n'), /overhead .* ≤ 0\.05 +met/)
})

it('the median of an even count is the mean of the middle two', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5)
})

it('a licence that is not on the list is found, and one side of an OR is enough', () => {
  const lock = { packages: { '': {}, 'node_modules/a': { license: 'MIT' }, 'node_modules/b': { license: 'GPL-3.0' } } }
  assert.deepEqual(
    forbiddenLicences(lock, () => undefined),
    ['node_modules/b: GPL-3.0'],
  )
  assert.ok(isAllowed('(MIT OR GPL-3.0)'))
  assert.ok(!isAllowed('MIT AND GPL-3.0'))
})
