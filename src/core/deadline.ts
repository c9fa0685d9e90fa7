/**
 * The deadline on every call that leaves the process: nothing in Fourfold hangs on a helper that died.
 *
 * The rejection says nothing about the work itself: it may have taken place, and may still be under way unless it
 * heeds the signal. Its later result or failure is dropped.
 */

import { FourfoldError } from './errors.ts'

/**
 * Waits for work at most `ms` milliseconds.
 *
 * @param work a promise, or a function that is given a signal which is aborted when the time is over
 * @param what the work in words, for the message: `'the store to answer'`
 * @throws FF_CORE_DEADLINE when the time is over; otherwise whatever the work rejects with
 * @example await withDeadline((signal) => fetch(url, { signal }), 250, 'the health check')
 */
export async function withDeadline<T>(
  work: Promise<T> | ((signal: AbortSignal) => Promise<T>),
  ms: number,
  what: string,
): Promise<T> {
  const controller = new AbortController()
  const promise = typeof work === 'function' ? work(controller.signal) : work
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new FourfoldError('FF_CORE_DEADLINE', `waited ${ms} ms for ${what}; gave up`, {
        fields: { what, ms },
      })
      reject(error)
      controller.abort(error)
    }, ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}
