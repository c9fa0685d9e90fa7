import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'

import { arrayElements, canonicalParameter } from '../../src/engines/postgres/reads/canonical.ts'
import { evaluateReads, narrowTo, type RowRead, volatileParameter } from '../../src/engines/postgres/reads/evaluate.ts'
import { type CacheablePlan, loadReadAnalyser } from '../../src/engines/postgres/reads/plan.ts'
import { plainCatalogue } from '../support/read-catalogue.ts'

let planOf: (sql: string) => CacheablePlan
before(async () => {
  const analyser = await loadReadAnalyser()
  const catalogue = await plainCatalogue()
  planOf = (sql) => {
    const plan = analyser.plan(sql, catalogue)
    assert.ok(plan.cacheable, sql)
    return plan
  }
})

function rows(sql: string, ...parameters: readonly unknown[]): Pick<RowRead, 'columns' | 'values'> {
  const [read] = evaluateReads(planOf(sql), parameters)
  assert.ok(read !== undefined)
  return { columns: read.columns, values: read.values }
}

const whole = { columns: null, values: [] }

describe('the canonical text of a parameter', () => {
  const cases: readonly (readonly [Parameters<typeof canonicalParameter>[0], unknown, string | null | undefined])[] = [
    ['int', 5, '5'],
    ['int', -5, '-5'],
    ['int', -0, '0'],
    ['int', 5n, '5'],
    ['int', 12345678901234567890n, '12345678901234567890'],
    ['int', '5', '5'],
    ['int', ' +005\n', '5'],
    ['int', '-0', '0'],
    ['int', '-00', '0'],
    ['int', '-050', '-50'],
    ['int', 5.5, undefined],
    ['int', 1e21, undefined],
    ['int', Number.NaN, undefined],
    ['int', '5.0', undefined],
    ['int', '0x10', undefined],
    ['int', '1_000', undefined],
    ['int', '\u00a05', undefined],
    ['int', '', undefined],
    ['int', true, undefined],
    ['int', null, null],
    ['int', undefined, null],
    ['int', new Date(0), undefined],
    ['int', Buffer.from('5'), undefined],
    ['int', { toPostgres: () => '5' }, undefined],
    ['int', [5], undefined],
    ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['uuid', '{a0eebc999c0b4ef8bb6d6bb9bd380a11', undefined],
    ['uuid', 'a0eebc99', undefined],
    ['bool', true, 't'],
    ['bool', false, 'f'],
    ['bool', 1, 't'],
    ['bool', ' TRU ', 't'],
    ['bool', 'of', 'f'],
    ['bool', 'o', undefined],
    ['bool', 2, undefined],
    ['text', 'a b', 'a b'],
    ['text', '', ''],
    ['text', 5, '5'],
    ['text', 1e21, '1e+21'],
    ['text', true, 'true'],
    ['text', 'a\u0000b', undefined],
    ['text', '\ud800', undefined],
    ['text', '😀', '😀'],
    ['enum:7', 'ok', 'ok'],
  ]
  for (const [family, value, expected] of cases) {
    const title = typeof value === 'bigint' ? `${value}n` : JSON.stringify(value)
    test(`${family} ${title} → ${JSON.stringify(expected)}`, () => {
      assert.equal(canonicalParameter(family, value), expected)
    })
  }
})

describe('arrays as text', () => {
  const cases: Readonly<Record<string, readonly (string | null)[] | undefined>> = {
    '{}': [],
    ' { } ': [],
    '{1,2}': ['1', '2'],
    '{ 1 , NULL, null }': ['1', null, null],
    '{"NULL","a\\"b\\\\", a b }': ['NULL', 'a"b\\', 'a b'],
    '{"",x}': ['', 'x'],
    '{\u00a0x}': ['\u00a0x'],
    '{{1},{2}}': undefined,
    '[0:1]={1,2}': undefined,
    '{1,}': undefined,
    '{,1}': undefined,
    '{a\\b}': undefined,
    '{a"b"}': undefined,
    '1,2': undefined,
    '': undefined,
  }
  for (const [text, expected] of Object.entries(cases)) {
    test(`${text} → ${JSON.stringify(expected)}`, () => assert.deepEqual(arrayElements(text), expected))
  }
})

describe('rows', () => {
  test('one key', () => {
    assert.deepEqual(rows('select * from a where id = $1', '07'), { columns: ['id'], values: [['7']] })
  })

  test('the order of the columns is that of their names, whatever the order in the text', () => {
    assert.deepEqual(rows('select * from a where t = $1 and id = 7 and f', 'x'), {
      columns: ['f', 'id', 't'],
      values: [['t', '7', 'x']],
    })
  })

  test('lists are combined, and values that mean the same stand once', () => {
    assert.deepEqual(rows(`select * from a where id in (1, $1, '02') and t = any ($2)`, 2, ['x', null, 'y', 'x']), {
      columns: ['id', 't'],
      values: [
        ['1', 'x'],
        ['1', 'y'],
        ['2', 'x'],
        ['2', 'y'],
      ],
    })
  })

  test('null narrows to no row', () => {
    for (const value of [null, undefined]) {
      assert.deepEqual(rows('select * from a where id = $1', value), { columns: ['id'], values: [] })
      assert.deepEqual(rows('select * from a where id = any ($1)', value), { columns: ['id'], values: [] })
    }
    assert.deepEqual(rows('select * from a where id = any ($1)', []), { columns: ['id'], values: [] })
    assert.deepEqual(rows('select * from a where id = $1 and t = $2', null, 'x').values, [])
    assert.deepEqual(rows('select * from a where id in ($1, $2)', null, 5).values, [['5']])
  })

  test('a value in doubt leaves its column out', () => {
    assert.deepEqual(rows('select * from a where id = $1', new Date()), whole)
    assert.deepEqual(rows('select * from a where id in ($1, $2)', 5, '5.0'), whole)
    assert.deepEqual(rows('select * from a where id = any ($1)', [5, [6]]), whole)
    assert.deepEqual(rows('select * from a where id = any ($1)', '{{5}}'), whole)
    assert.deepEqual(rows('select * from a where id = any ($1)', 5), whole)
    assert.deepEqual(rows('select * from a where id = $1'), whole, 'a parameter that is not there')
    assert.deepEqual(rows('select * from a where id = $1 and t = $2', '5.0', 'x'), { columns: ['t'], values: [['x']] })
  })

  test('an array may come as text', () => {
    assert.deepEqual(rows('select * from a where id = any ($1)', '{1, NULL ,"2"}').values, [['1'], ['2']])
  })

  test('more than a thousand combinations: the widest columns are left out', () => {
    const many = Array.from({ length: 600 }, (_, at) => at)
    const sql = 'select * from a where id = any ($1) and small = any ($2) and big = $3'
    assert.deepEqual(rows(sql, many, [1, 2], 3), {
      columns: ['big', 'small'],
      values: [
        ['3', '1'],
        ['3', '2'],
      ],
    })
    assert.equal(rows('select * from a where id = any ($1)', [...many, 601]).values.length, 601)
    const wide = Array.from({ length: 1001 }, (_, at) => at)
    assert.deepEqual(rows('select * from a where id = any ($1)', wide), whole)
    assert.deepEqual(rows('select * from a where id = any ($1) and small = any ($1)', wide), whole)
  })

  test('rows can be told apart by fewer columns', () => {
    const [read] = evaluateReads(planOf(`select * from a where id in (1, 2) and t in ('x', 'y')`), [])
    assert.ok(read !== undefined)
    assert.equal(
      narrowTo(read, () => true),
      read,
    )
    const narrower = narrowTo(read, (column) => column === 't')
    assert.deepEqual([narrower.columns, narrower.values], [['t'], [['x'], ['y']]])
    assert.equal(narrowTo(read, () => false).columns, null)
  })
})

test('a parameter that may be read as a date makes the answer volatile where it says today', () => {
  const plan = planOf('select * from a where d > $1 and t = $2 and id = any ($3)')
  assert.equal(volatileParameter(plan, ['2020-01-01', 'today', []]), null)
  assert.equal(volatileParameter(plan, ['Today 10:00', '', []]), `'today' may stand for the time of the query`)
  const list = planOf('select * from a where d = any ($1)')
  assert.equal(volatileParameter(list, [['2020-01-01', 'NOW']]), `'now' may stand for the time of the query`)
  assert.equal(volatileParameter(list, ['{2020-01-01,tomorrow}']), `'tomorrow' may stand for the time of the query`)
  assert.equal(volatileParameter(list, [new Date()]), null)
  assert.equal(volatileParameter(planOf('select * from a where t ilike $1'), ['what to do now']), null)
})

test('no text makes the analyser throw', async () => {
  const analyser = await loadReadAnalyser()
  const catalogue = await plainCatalogue()
  const words = 'select from a b where id = $1 ( ) , * join left on using group by order limit union with as 1 null x'
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words.split(' ')), { maxLength: 14 }), (parts) => {
      const plan = analyser.plan(`select ${parts.join(' ')}`, catalogue)
      assert.equal(typeof plan.cacheable, 'boolean')
      if (!plan.cacheable) assert.doesNotMatch(plan.reason, /undefined|not a function|iterable|Cannot read/)
    }),
    { numRuns: 1_000 },
  )
  const deep = `select ${'('.repeat(20_000)}1${')'.repeat(20_000)}`
  assert.equal(typeof analyser.plan(deep, catalogue).cacheable, 'boolean')
  const unfolding = Array.from({ length: 40 }, (_, at) => `c${at + 1} as (select * from c${at} x, c${at} y)`).join(', ')
  const large = analyser.plan(`with c0 as (select 1 as one), ${unfolding} select 1 from c40`, catalogue)
  assert.equal(large.cacheable ? '' : large.reason, 'the query is too large to follow')
})

test('a text is analysed once for a catalogue', async () => {
  const analyser = await loadReadAnalyser()
  const [one, other] = [await plainCatalogue(), await plainCatalogue({ own_equality: true })]
  const sql = 'select * from a where id = 1'
  const first = analyser.plan(sql, one)
  assert.equal(analyser.plan(sql, one), first)
  const second = analyser.plan(sql, other)
  assert.ok(second.cacheable)
  assert.deepEqual(second.reads[0]?.keys, [], 'an = of the app’s own may be meant')
  const third = analyser.plan(sql, await plainCatalogue({ own_cast: 'text to integer' }))
  const reason = `the implicit cast from text to integer may run code of the app's own`
  assert.equal(third.cacheable ? '' : third.reason, reason)
})
