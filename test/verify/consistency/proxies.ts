/** Proxies in a thread of their own: what goes through them must not wait for whoever sends the requests. */

import { once } from 'node:events'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

import { startProxy, type Proxy } from './proxy.ts'

import type { TcpNetConnectOpts, IpcNetConnectOpts } from 'node:net'

type Target = TcpNetConnectOpts | IpcNetConnectOpts

export interface RemoteProxy extends Pick<Proxy, 'port' | 'cut' | 'restore'> {}

interface Command {
  readonly name: string
  readonly what: 'silent' | 'refused' | 'restore'
}

export async function startProxies<Name extends string>(
  targets: Readonly<Record<Name, Target>>,
): Promise<{ readonly proxies: Readonly<Record<Name, RemoteProxy>>; close(): Promise<void> }> {
  const worker = new Worker(new URL(import.meta.url), { workerData: targets })
  const [ports] = (await once(worker, 'message')) as [Readonly<Record<Name, number>>]
  const send = (name: string, what: Command['what']): void => worker.postMessage({ name, what } satisfies Command, [])
  const make = (name: Name): RemoteProxy => ({
    port: ports[name],
    cut: (how) => send(name, how),
    restore: () => send(name, 'restore'),
  })
  const names = Object.keys(targets) as Name[]
  const proxies = Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, RemoteProxy>
  return { proxies, close: async () => void (await worker.terminate()) }
}

async function serve(targets: Readonly<Record<string, Target>>): Promise<void> {
  const proxies = new Map<string, Proxy>()
  for (const [name, target] of Object.entries(targets)) proxies.set(name, await startProxy(target))
  parentPort?.on('message', ({ name, what }: Command) => {
    const proxy = proxies.get(name)
    if (what === 'restore') proxy?.restore()
    else proxy?.cut(what)
  })
  parentPort?.postMessage(Object.fromEntries([...proxies].map(([name, { port }]) => [name, port])), [])
}

if (!isMainThread && parentPort !== null) await serve(workerData as Readonly<Record<string, Target>>)
