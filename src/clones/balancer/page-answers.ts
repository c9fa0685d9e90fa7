/** Writes what a {@link PageAnswerer} answers, and lets everything else go its way to a clone. */

import { cutIfStalled } from './exchange.ts'
import { readPlainRequest } from './plain-request.ts'
import { AnswerWriter } from './prepared-answer.ts'

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Admission, Upstream } from '../protocol.ts'
import type { ClientConnections } from './client-connections.ts'
import type { BalancerLimits } from './options.ts'
import type { PageAnswerer, PlainAnswer } from './page-answerer.ts'

export interface PageAnswersOptions {
  readonly connections: ClientConnections
  readonly limits: Pick<BalancerLimits, 'stallTimeoutMs' | 'idleTimeoutMs'>
  /** A request that may go to a clone is on its way; the result says that it has gone, or never will. */
  readonly expect: () => () => void
  /** Sends a request to a clone whose answer is waited for already. */
  readonly forward: (request: IncomingMessage, response: ServerResponse) => void
}

const none: ReadonlySet<string> = new Set()

export class PageAnswers {
  readonly #options: PageAnswersOptions
  readonly #writer: AnswerWriter
  #pages: PageAnswerer | null = null
  #credentials = none
  #upstreams: readonly Upstream[] = []
  #admission: Admission | undefined

  constructor(options: PageAnswersOptions) {
    this.#options = options
    this.#writer = new AnswerWriter(options.limits.idleTimeoutMs)
  }

  use(pages: PageAnswerer | null): void {
    this.#credentials = new Set(pages?.credentialHeaders.map((name) => name.toLowerCase()))
    this.#pages = pages
    pages?.admit(this.#upstreams, this.#admission)
  }

  admit(upstreams: readonly Upstream[], admission: Admission | undefined): void {
    this.#upstreams = upstreams
    this.#admission = admission
    this.#pages?.admit(upstreams, admission)
  }

  /** False: nothing was done, and a clone has to answer. */
  serve(request: IncomingMessage, response: ServerResponse): boolean {
    const pages = this.#pages
    if (pages === null) return false
    try {
      const plain = readPlainRequest(request, this.#credentials)
      const answer = plain && pages.answer(plain)
      if (answer === null) return false
      if (answer instanceof Promise) this.#wait(request, response, answer)
      else this.#answer(request, response, answer)
      return true
    } catch {
      // Such as a header that cannot be written: a clone fails for that request alone.
      return false
    }
  }

  /** Of one that was written in one piece and left at once, as nearly all are, nothing has to be remembered. */
  #answer({ socket }: IncomingMessage, response: ServerResponse, answer: PlainAnswer): void {
    const { connections, limits } = this.#options
    const first = response.socket === socket
    this.#writer.write(response, answer)
    if (first && socket.writableLength === 0) return
    connections.begin(socket, response)
    response.once('close', () => connections.end(socket))
    cutIfStalled(response, limits.stallTimeoutMs)
  }

  #wait(request: IncomingMessage, response: ServerResponse, asked: Promise<PlainAnswer | null>): void {
    const { connections, limits, expect, forward } = this.#options
    const { socket } = request
    const arrived = expect()
    connections.begin(socket, response)
    const known = asked.catch(() => null)
    void known.then((answer) => {
      if (response.destroyed) connections.end(socket)
      else if (answer === null) forward(request, response)
      else {
        response.once('close', () => connections.end(socket))
        this.#writer.write(response, answer)
        cutIfStalled(response, limits.stallTimeoutMs)
      }
      arrived()
    })
  }
}
