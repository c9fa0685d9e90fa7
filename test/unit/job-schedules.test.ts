/** What is promised of clocks that are put forward and back. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { nextTicks } from '../../src/jobs/worker/schedules.ts'

const timeZone = 'Europe/Berlin'
const ticks = (cron: string, after: string, count: number): string[] =>
  nextTicks({ cron, timeZone }, new Date(after), count).map((at) => at.toISOString())

suite('schedules of jobs', () => {
  test('what falls into the hour that is skipped is run when the clock goes on, and on other days as ever', () => {
    assert.deepEqual(ticks('30 2 * * *', '2027-03-27T12:00:00Z', 2), [
      '2027-03-28T01:00:00.000Z',
      '2027-03-29T00:30:00.000Z',
    ])
  })

  test('a time that comes twice is run once, the first time', () => {
    assert.deepEqual(ticks('30 2 * * *', '2027-10-30T12:00:00Z', 2), [
      '2027-10-31T00:30:00.000Z',
      '2027-11-01T01:30:00.000Z',
    ])
  })

  test('every hour is every real hour', () => {
    const hours = ticks('0 * * * *', '2027-10-30T22:30:00Z', 4)
    assert.deepEqual(
      hours,
      [23, 24, 25, 26].map((hour) => new Date(Date.UTC(2027, 9, 30, hour)).toISOString()),
    )
  })
})
