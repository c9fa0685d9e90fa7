/**
 * A client on a host of its own, told over IPC what to do: ask once, or ask again and again and report every request.
 * Keep-alive connections and new ones, reads and writes.
 */

import { Agent, request } from 'node:http'

export interface Asked {
  readonly method: string
  readonly path: string
  /** Null: there was no answer. */
  readonly status: number | null
  readonly error: string | null
  readonly clone: string | null
  readonly build: number | null
  readonly body: string
  readonly ms: number
  /** When it ended, by the clock of all processes of this machine. */
  readonly at: number
}

export type ClientCommand =
  | {
      readonly id: number
      readonly type: 'ask'
      readonly url: string
      readonly method: string
      readonly headers?: object
    }
  | {
      readonly id: number
      readonly type: 'load'
      readonly urls: readonly string[]
      readonly clients: number
      readonly prefix: string
    }
  | { readonly id: number; readonly type: 'count' }
  | { readonly id: number; readonly type: 'end' }

const pauseMs = 15
/** More than a balancer keeps of a body: such a request cannot be sent a second time. */
const streamedBytes = 100 * 1024
const patienceMs = 40_000

function ask(
  url: string,
  method: string,
  agent: Agent | undefined,
  { headers = {}, bytes = 1 }: { readonly headers?: object; readonly bytes?: number } = {},
): Promise<Asked> {
  const begun = performance.now()
  return new Promise((resolve) => {
    const finish = (status: number | null, error: string | null, clone: string | null, body: string): void => {
      clearTimeout(timer)
      const build = /"build":(\d+)/.exec(body)?.[1]
      const { pathname } = new URL(url)
      const ms = performance.now() - begun
      resolve({
        method,
        path: pathname,
        status,
        error,
        clone,
        build: build === undefined ? null : Number(build),
        body,
        ms,
        at: Date.now(),
      })
    }
    const asking = request(url, { method, agent: agent ?? false, headers: { ...headers } }, (answer) => {
      let body = ''
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
      answer.on('end', () =>
        finish(answer.statusCode ?? 0, null, String(answer.headers['x-fourfold-clone'] ?? ''), body),
      )
      answer.on('error', (error: Error) => finish(null, error.message, null, ''))
    })
    const timer = setTimeout(() => asking.destroy(new Error('the client gave up')), patienceMs)
    asking.on('error', (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message, null, ''))
    asking.end(method === 'GET' ? undefined : 'x'.repeat(bytes))
  })
}

class Load {
  readonly asked: Asked[] = []
  #ending = false
  readonly #running: Promise<void>[]

  constructor(urls: readonly string[], clients: number, prefix: string) {
    this.#running = Array.from({ length: clients }, (_value, index) => this.#client(index, urls, prefix))
  }

  async end(): Promise<Asked[]> {
    this.#ending = true
    await Promise.all(this.#running)
    return this.asked
  }

  async #client(index: number, urls: readonly string[], prefix: string): Promise<void> {
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true }) : undefined
    const methods = ['GET', 'POST', 'GET', 'PUT']
    for (let count = 0; !this.#ending; count += 1) {
      const method = methods[(index + count) % methods.length] ?? 'GET'
      const url = urls[(index + count) % urls.length] ?? ''
      const bytes = method === 'POST' && count % 5 === 0 ? streamedBytes : 1
      this.asked.push(await ask(`${url}/${prefix}-${index}-${count}?ms=${count % 5}`, method, agent, { bytes }))
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
    agent?.destroy()
  }
}

let load: Load | null = null

async function obey(command: ClientCommand): Promise<unknown> {
  if (command.type === 'ask') return await ask(command.url, command.method, undefined, command)
  if (command.type === 'load') return void (load = new Load(command.urls, command.clients, command.prefix))
  if (command.type === 'count') return load?.asked.length ?? 0
  return (await load?.end()) ?? []
}

process.on('message', (command: ClientCommand) => {
  void obey(command).then((result) => process.send?.({ id: command.id, result: result ?? null }))
})
process.once('disconnect', () => process.exit(0))
process.send?.({ id: 0, result: 'ready' })
