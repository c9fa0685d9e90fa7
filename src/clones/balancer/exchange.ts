/**
 * One request and its answer. It is sent to a clone, and to another one if that fails and sending it twice is safe:
 * nothing was sent, or the method is idempotent; no byte of an answer was forwarded; the body can be had again; and the
 * budget allows it.
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { Attempt, clientGone, isTimeout, type Failure, type Outgoing } from './attempt.ts'
import type { BalancerLimits } from './options.ts'
import type { RetryBudget } from './retry-budget.ts'
import type { UpstreamState } from './upstream.ts'
import type { UpstreamSet } from './upstream-set.ts'

export interface ExchangeContext {
  readonly upstreams: UpstreamSet
  readonly budget: RetryBudget
  readonly limits: BalancerLimits
  /** Whether the balancer is stopping: connections are then not kept. */
  readonly stopping: () => boolean
}

const maxAttempts = 3

/**
 * Resolves when the answer is written or the client is gone.
 *
 * @throws FF_BALANCER_* if no clone answered; nothing was written to the client then
 */
export async function exchange(
  context: ExchangeContext,
  request: IncomingMessage,
  response: ServerResponse,
  outgoing: Outgoing,
): Promise<void> {
  const tried = new Set<UpstreamState>()
  const gone = new AbortController()
  const leave = (): void => gone.abort(clientGone())
  response.once('close', leave)
  try {
    for (let attempts = 1; ; attempts += 1) {
      gone.signal.throwIfAborted()
      const lease = await context.upstreams.acquire(tried, gone.signal, outgoing.body.streamed)
      const outcome = await new Attempt(context, lease, request, response, outgoing).run()
      lease.release()
      if (outcome.answered || response.destroyed) return
      tried.add(lease.upstream)
      if (!mayRetry(context, outcome, outgoing, attempts)) throw describe(outcome.error, context.limits)
    }
  } finally {
    response.off('close', leave)
  }
}

function mayRetry({ budget }: ExchangeContext, failure: Failure, outgoing: Outgoing, attempts: number): boolean {
  if (attempts >= maxAttempts || isFourfoldError(failure.error) || isTimeout(failure.error)) return false
  if (!outgoing.body.replayable() || (failure.sent && !outgoing.idempotent)) return false
  return failure.budgeted || budget.take()
}

function describe(error: Error, limits: BalancerLimits): FourfoldError {
  if (isFourfoldError(error)) return error
  if (isTimeout(error)) {
    const message = `the clone did not start to answer within ${limits.requestTimeoutMs} ms`
    return new FourfoldError('FF_BALANCER_UPSTREAM_TIMEOUT', message, { cause: error })
  }
  const message = 'the clone broke its connection before it answered, and the request may not be sent again'
  return new FourfoldError('FF_BALANCER_UPSTREAM_FAILED', message, { cause: error })
}
