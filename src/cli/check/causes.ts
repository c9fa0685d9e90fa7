/** Guesses, from what differs, at what the app keeps in a clone. They are hints for people; nothing depends on them. */

import { headerOf, type Answer } from './answer.ts'

import type { Difference } from './compare.ts'
import type { Step } from './replay.ts'

export interface Evidence {
  readonly difference: Difference
  /** What one clone answered. */
  readonly expected: Answer
  /** The run in which it differed, up to the request. */
  readonly steps: readonly Step[]
}

/** A hint in words, or null. */
export function likelyCause({ difference, expected, steps }: Evidence): string | null {
  const step = steps.at(-1)
  const got = step?.answer
  if (step === undefined) return null
  if (got === null || got === undefined) return 'follows from an earlier difference'
  if (got.failure !== null) return 'the clone ended or hung: it may lack what another clone was told before'
  if (isSignIn(got) && !isSignIn(expected)) return 'a login or session kept in the memory of the clone that made it'
  if (difference.place.startsWith('header set-cookie') && difference.kind === 'extra') {
    return 'a session that this clone does not know, so that it began another: sessions in memory'
  }
  if (isStale(step, steps))
    return 'an answer kept from before: a cache in memory that changes made by other clones do not reach'
  if (/ratelimit/.test(difference.place) || got.status === 429 || expected.status === 429) {
    return 'a limit that each clone counts for itself, in its memory'
  }
  if (isFewer(difference)) return 'a number or list that each clone keeps for itself, in its memory'
  if (got.status === 404 && expected.status < 400)
    return 'something that only the clone that made it has, in memory or on its disc'
  return steps.some(({ accesses }) => accesses.length > 0) ? 'a file on the disc of another clone' : null
}

function isSignIn(answer: Answer): boolean {
  if (answer.status === 401 || answer.status === 403) return true
  const location = headerOf(answer, 'location') ?? ''
  return answer.status >= 300 && answer.status < 400 && /log-?in|sign-?in|auth/i.test(location)
}

/** Whether this clone answered the same request the same before, and somebody has written since. */
function isStale(step: Step, steps: readonly Step[]): boolean {
  if (step.request.method !== 'GET' || step.answer === null) return false
  const { body } = step.answer
  const key = JSON.stringify(step.request.target)
  const before = steps.findLastIndex(
    ({ request, clone, answer }, index) =>
      index < steps.length - 1 &&
      clone === step.clone &&
      request.method === 'GET' &&
      JSON.stringify(request.target) === key &&
      answer?.body.equals(body) === true,
  )
  return before >= 0 && steps.slice(before + 1, -1).some(({ request }) => request.method !== 'GET')
}

function isFewer({ expected, got, kind }: Difference): boolean {
  if (kind === 'missing') return true
  const [a, b] = [expected, got].map((text) => Number(/-?\d+(?:\.\d+)?/.exec(text ?? '')?.[0] ?? NaN))
  return a !== undefined && b !== undefined && b < a
}
