/** The errors of a session, each in one place with what to do about it. */

import { FourfoldError } from '../core/errors.ts'

export function sessionGone(): FourfoldError {
  return new FourfoldError(
    'FF_SESSION_GONE',
    'The session ended, or got another id, while this request was working with it. Nothing was written: an ended ' +
      'session is never revived. Let the client ask again',
  )
}

export function sessionContention(step: string): FourfoldError {
  return new FourfoldError(
    'FF_SESSION_CONTENTION',
    `session.${step}: other requests changed the session each time between reading and writing it. Nothing was written`,
  )
}

export function sessionLate(): FourfoldError {
  return new FourfoldError(
    'FF_SESSION_LATE',
    'The answer has gone out, so this change could not be told to the client. Change the session before the answer ' +
      'is sent, or use session.update(), which writes at once, on a session that exists',
  )
}
