/**
 * The balancer: takes the public traffic with Node's own HTTP server, forwards it to the clones it was told of, and can
 * take a clone out without losing a request. It runs in a process of its own, or inside a test.
 *
 * It never parses HTTP itself: what Node's parser accepted is checked again for what two parsers could read differently
 * (target.ts), and written anew.
 */

import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Admission, BuildCounts, ListenAddress, Upstream } from '../protocol.ts'
import { answerError, closesConnection, writeErrorText } from './error-answer.ts'
import { followCertificate, readCertificate, type Certificate, type CertificateFiles } from './certificate.ts'
import { createClientConnections, type ClientConnections } from './client-connections.ts'
import { Exchange, type ExchangeContext } from './exchange.ts'
import { readRequestHead } from './headers.ts'
import { listen } from './listen.ts'
import { defaultLimits, healthPath, type BalancerLimits } from './options.ts'
import { PageAnswers } from './page-answers.ts'
import { createRequestIds } from './request-id.ts'
import { createRetryBudget } from './retry-budget.ts'
import { createTrust, type Trust } from './trust.ts'
import { asksForWebSocket, upgrade } from './upgrade.ts'
import { chooseClient } from './upstream/open-client.ts'
import type { OpenClient } from './upstream/client.ts'
import { createUpstreamSet, type UpstreamSet } from './upstream-set.ts'
import { createWarnings } from './warnings.ts'

import type { PageAnswerer } from './page-answerer.ts'

export interface BalancerOptions extends Partial<BalancerLimits> {
  /** Default: `'127.0.0.1'`. */
  readonly host?: string
  /** 0 takes any free port. Default: 8080. */
  readonly port?: number
  /** Speak TLS with this certificate. Default: HTTP in the clear. */
  readonly tls?: Partial<CertificateFiles>
  readonly log: Logger
}

export interface Balancer {
  readonly address: ListenAddress & { readonly host: string; readonly port: number }
  /**
   * These are all the clones there are, and the builds that may answer (default: any). Clones left out get nothing new;
   * what they have in flight goes on.
   */
  setUpstreams(upstreams: readonly Upstream[], admission?: Admission): void
  /** From now on what these can answer goes to no clone; null: everything does. */
  answerPages(pages: PageAnswerer | null): void
  /** What was seen of each build since the start. */
  counts(): BuildCounts
  /** Sends a clone nothing new and resolves when it has answered everything, with how many requests were left if not. */
  drain(id: string, withinMs?: number): Promise<number>
  /** Takes no new connections, lets what is in flight finish, and closes. May be called twice. */
  stop(graceMs?: number): Promise<void>
}

/**
 * Starts a balancer.
 *
 * @throws FF_BALANCER_LISTEN if the address is taken or not allowed; FF_BALANCER_CERTIFICATE; FF_CONFIG_INVALID for a
 * bad `trustProxy`
 */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const limits: BalancerLimits = { ...defaultLimits, ...definedOf(options) }
  const files = certificateFiles(options.tls)
  const certificate = files === null ? null : await readCertificate(files)
  const openClient = await chooseClient(limits, options.log)
  const front = new Front({ limits, openClient, certificate, log: options.log })
  const address = await listen(front.server, options.host ?? '127.0.0.1', options.port ?? 8080)
  const unfollow =
    files === null || certificate === null
      ? (): void => undefined
      : followCertificate(front.server as TlsServer, { files, current: certificate, log: options.log })
  let stopped: Promise<void> | undefined
  return {
    address,
    setUpstreams: (upstreams, admission) => {
      front.pages.admit(upstreams, admission)
      front.upstreams.set(upstreams, admission)
    },
    answerPages: (pages) => front.pages.use(pages),
    counts: () => front.upstreams.admission.counts(),
    drain: (id, withinMs = 10_000) => front.upstreams.drain(id, withinMs),
    stop: (graceMs = 10_000) => {
      unfollow()
      return (stopped ??= front.stop(graceMs))
    },
  }
}

interface FrontParts {
  readonly limits: BalancerLimits
  readonly openClient: OpenClient
  readonly certificate: Certificate | null
  readonly log: Logger
}

class Front {
  readonly server: Server
  readonly upstreams: UpstreamSet
  readonly pages: PageAnswers
  readonly #context: ExchangeContext
  readonly #limits: BalancerLimits
  readonly #trust: Trust
  readonly #log: Logger
  readonly #warnings = createWarnings()
  readonly #connections: ClientConnections
  /** Connections that end with an answer that is on its way: nothing more is taken from them. */
  readonly #ending = new WeakSet<Duplex>()
  /** Answers of the balancer's own that refuse a request, whatever is still to come of it. */
  readonly #refusals = new WeakSet<ServerResponse>()
  #stopping = false

  constructor({ limits, openClient, certificate, log }: FrontParts) {
    this.#limits = limits
    this.#log = log
    this.#trust = createTrust(limits.trustProxy)
    this.#connections = createClientConnections(limits, this.#trust)
    this.upstreams = createUpstreamSet(limits, openClient)
    this.#context = {
      upstreams: this.upstreams,
      budget: createRetryBudget(),
      limits,
      stopping: () => this.#stopping,
      bodyMemory: { bytes: 0 },
      nextRequestId: createRequestIds(),
      closed: (request) => this.#connections.end(request.socket),
      fail: (request, response, error, requestId) => this.#fail(request, response, error, requestId),
    }
    this.pages = new PageAnswers({
      connections: this.#connections,
      limits,
      expect: () => this.upstreams.expect(),
      forward: (request, response) => this.#forward(request, response, false),
    })
    const settings: ServerOptions = {
      maxHeaderSize: limits.headerLimitBytes,
      headersTimeout: limits.headerTimeoutMs,
      // Bodies have a limit of their own: a large one over a slow line may take long, as long as it moves.
      requestTimeout: 0,
      keepAliveTimeout: limits.idleTimeoutMs,
      // Nothing else notices the client of a stream that went without a word.
      keepAlive: true,
      keepAliveInitialDelay: Math.max(1000, limits.idleTimeoutMs),
      connectionsCheckingInterval: Math.max(50, Math.min(1000, limits.headerTimeoutMs / 4)),
      insecureHTTPParser: false,
      // A request without a body needs no stream for it.
      optimizeEmptyRequests: true,
      shouldUpgradeCallback: asksForWebSocket,
    }
    this.server = certificate === null ? createServer(settings) : this.#secureServer(settings, certificate)
    // The limit of bytes is enough; with a limit of their number Node would drop the rest silently.
    this.server.maxHeadersCount = 0
    this.server.on('connection', (socket) => this.#connections.admit(socket))
    this.server.on('request', (request, response) => this.#serve(request, response, false))
    this.server.on('checkContinue', (request, response) => this.#serve(request, response, true))
    this.server.on('checkExpectation', (request, response) => this.#serve(request, response, true))
    this.server.on('upgrade', (request, socket, head) => {
      // What is still to be answered would land behind the change of protocol.
      if (this.#connections.latest(socket) !== null) return void socket.destroy()
      this.#connections.begin(socket, null)
      void upgrade(this.#context, this.#trust, request, socket, head)
    })
    this.server.on('connect', (_request, socket: Duplex) => {
      if (this.#connections.latest(socket) !== null) socket.destroy()
      else refuse(socket, badRequest('CONNECT is not for this server'))
    })
    this.server.on('clientError', (error: Error & { code?: string }, socket) => this.#refuseBytes(error, socket))
  }

  #secureServer(settings: ServerOptions, certificate: Certificate): Server {
    const handshakeTimeout = this.#limits.headerTimeoutMs
    const server = createTlsServer({ ...settings, ...certificate, handshakeTimeout, ALPNProtocols: ['http/1.1'] })
    server.on('secureConnection', (socket) => this.#connections.secure(socket))
    // Whoever speaks no TLS, or trusts another certificate, is told by TLS itself.
    server.on('tlsClientError', (_error, socket) => socket.destroy())
    return server
  }

  #serve(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { socket } = request
    if (this.#ending.has(socket)) return
    if (!expectsContinue && !this.#stopping && this.pages.serve(request, response)) return
    this.#connections.begin(socket, response)
    this.#forward(request, response, expectsContinue)
  }

  #forward(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { socket } = request
    // Node's parser drops what comes in one piece with an upgrade that was not taken: nothing may follow it.
    if (request.headers.upgrade !== undefined) this.#endWith(socket, response)
    try {
      if (request.method === 'TRACE') throw badRequest('TRACE is not for this server')
      const head = readRequestHead(request, this.#trust, this.#context.nextRequestId)
      if (expectsContinue) this.#invite(request, response, head.bodyLength)
      if (isHealthCheck(head.path)) {
        this.#endWhenClosed(socket, response)
        return this.#answerHealth(request, response)
      }
      this.#context.budget.note()
      new Exchange(this.#context, request, response, head).start()
    } catch (error) {
      this.#endWhenClosed(socket, response)
      this.#fail(request, response, error)
    }
  }

  #endWhenClosed(socket: Duplex, response: ServerResponse): void {
    response.once('close', () => this.#connections.end(socket))
  }

  /** Answers what a client expects before it sends a body (RFC 9110, 10.1.1), if that is what it says. */
  #invite({ headers }: IncomingMessage, response: ServerResponse, length: number | null): void {
    if (headers.expect?.toLowerCase() !== '100-continue') throw badRequest('the only expectation is "100-continue"')
    if (length !== 0 && (length ?? 0) <= this.#limits.bodyLimitBytes) response.writeContinue()
  }

  /** The connection ends with this answer. */
  #endWith(socket: Duplex, response: ServerResponse): void {
    this.#ending.add(socket)
    response.shouldKeepAlive = false
    if (response.headersSent) response.once('finish', () => (socket as Socket).destroySoon())
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown, requestId?: string): void {
    const known = isFourfoldError(error)
      ? error
      : new FourfoldError('FF_BALANCER_UPSTREAM_FAILED', 'the request could not be forwarded', { cause: error })
    if (known.httpStatus >= 500) this.#warn(known, { requestId, method: request.method })
    if (closesConnection(request, known)) this.#ending.add(request.socket)
    this.#refusals.add(response)
    answerError(request, response, known, requestId)
  }

  #warn({ code, cause, httpStatus, message }: FourfoldError, fields: object): void {
    const leftOut = httpStatus === 503 ? this.#warnings.admit(code) : 0
    if (leftOut === null) return
    this.#log.warn({ ...fields, code, error: cause, ...(leftOut > 0 ? { leftOut } : {}) }, message)
  }

  #answerHealth(request: IncomingMessage, response: ServerResponse): void {
    const states = this.upstreams.states()
    const now = performance.now()
    const usable = states.filter((state) => !state.draining && state.wellAt(now)).length
    const body = JSON.stringify({
      status: usable > 0 ? 'ok' : 'unavailable',
      upstreams: { total: states.length, usable, inFlight: states.reduce((sum, state) => sum + state.inFlight, 0) },
    })
    response.writeHead(usable > 0 ? 200 : 503, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  /** Bytes that Node's parser refused, or headers that did not come in time. */
  #refuseBytes(error: Error & { code?: string }, socket: Duplex): void {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const latest = this.#connections.latest(socket)
    if (latest !== null && this.#refusals.has(latest)) latest.end()
    // It is not about what was asked before: that is still answered, and nothing behind it is heard.
    else if (latest?.req.complete === true) {
      if (!this.#ending.has(socket)) this.#endWith(socket, latest)
    } else if (this.#connections.isAnswering(socket)) socket.destroy()
    else refuse(socket, describeClientError(error, this.#limits))
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.server.closeIdleConnections()
    await this.upstreams.idle(graceMs)
    this.upstreams.endStreams()
    // Node's own count leaves out what was upgraded.
    const cut = setTimeout(() => this.#connections.closeAll(), lastWordsMs)
    await closed
    clearTimeout(cut)
    await this.upstreams.close()
  }
}

/** How long answers that are written may take to leave before their connections are cut. */
const lastWordsMs = 200

function refuse(socket: Duplex, error: FourfoldError): void {
  socket.on('error', () => socket.destroy())
  // A client that keeps its half open gets no more than a moment.
  socket.end(writeErrorText(error), () => void setTimeout(() => socket.destroy(), 5 * lastWordsMs).unref())
}

function isHealthCheck(path: string): boolean {
  return path.startsWith(healthPath) && (path.length === healthPath.length || path[healthPath.length] === '?')
}

function badRequest(message: string): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', message)
}

function describeClientError(error: Error & { code?: string }, limits: BalancerLimits): FourfoldError {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    const message = `the headers are larger than ${limits.headerLimitBytes} bytes`
    return new FourfoldError('FF_BALANCER_HEADERS_TOO_LARGE', message)
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const message = `the headers did not come within ${limits.headerTimeoutMs} ms`
    return new FourfoldError('FF_BALANCER_REQUEST_TIMEOUT', message)
  }
  return badRequest('this is not valid HTTP/1.1')
}

/** Null where nothing was said of TLS. */
function certificateFiles(tls: Partial<CertificateFiles> | undefined): CertificateFiles | null {
  if (tls?.cert === undefined && tls?.key === undefined) return null
  return { cert: tls.cert ?? '', key: tls.key ?? '' }
}

/** Options that are undefined do not replace defaults. */
function definedOf(options: BalancerOptions): Partial<BalancerLimits> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))
}
