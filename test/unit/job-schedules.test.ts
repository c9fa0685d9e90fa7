/** What is promised of clocks that are put forward and back. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { isFourfoldError } from '../../src/core/errors.ts'
import { defineJob, type ScheduleOptions } from '../../src/jobs/define-job.ts'
import { policyOf } from '../../src/jobs/policy.ts'
import { checkJobSchedule, nextTicks } from '../../src/jobs/worker/schedules.ts'
import { anything } from '../support/jobs-ground.ts'

import type { KnownJob } from '../../src/jobs/worker/hands.ts'

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

  test('the same holds for lists and ranges, and not for steps, which follow the real time', () => {
    assert.deepEqual(ticks('15,45 2 * * *', '2027-03-27T12:00:00Z', 2), [
      '2027-03-28T01:00:00.000Z',
      '2027-03-29T00:15:00.000Z',
    ])
    assert.deepEqual(ticks('0 2-3 * * *', '2027-10-30T12:00:00Z', 3), [
      '2027-10-31T00:00:00.000Z',
      '2027-10-31T02:00:00.000Z',
      '2027-11-01T01:00:00.000Z',
    ])
    assert.deepEqual(ticks('*/30 2 * * *', '2027-03-27T12:00:00Z', 1), ['2027-03-29T00:00:00.000Z'])
    assert.deepEqual(
      ticks('*/30 2 * * *', '2027-10-30T12:00:00Z', 4),
      ['00:00', '00:30', '01:00', '01:30'].map((time) => `2027-10-31T${time}:00.000Z`),
    )
  })

  test('a time zone that is none is refused where the job is declared', () => {
    const known = (schedule: ScheduleOptions<unknown>): KnownJob => {
      const definition = defineJob<any>({ name: 'nightly', input: anything, schedule }).handle(() => null)
      return { definition, policy: policyOf(definition.contract) }
    }
    checkJobSchedule(known({ cron: '0 3 * * *', timeZone }))
    for (const schedule of [{ cron: '0 3 * * *', timeZone: 'Mars/Base' }, { cron: '61 * * * *' }]) {
      assert.throws(
        () => checkJobSchedule(known(schedule)),
        (error: Error) => isFourfoldError(error, 'FF_JOB_DEFINITION'),
      )
    }
  })

  test('every hour is every real hour', () => {
    const hours = ticks('0 * * * *', '2027-10-30T22:30:00Z', 4)
    assert.deepEqual(
      hours,
      [23, 24, 25, 26].map((hour) => new Date(Date.UTC(2027, 9, 30, hour)).toISOString()),
    )
  })
})
