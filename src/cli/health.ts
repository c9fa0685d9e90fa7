/** `fourfold health`: what a container's health check asks. It loads nothing of the app, because it is asked often. */

import { request as askPlain } from 'node:http'
import { request as askTls } from 'node:https'
import { resolve } from 'node:path'

import { askSystem } from '../app/control-client.ts'
import { readSystemNote } from '../app/system-file.ts'
import { healthPath } from '../clones/balancer/options.ts'
import { withDeadline } from '../core/deadline.ts'

/** Shorter than a health check waits. */
const answerMs = 3000

/** Ends with 0 where this host serves: its balancer reaches a clone, or it has a clone or worker that is ready. Else with 1. */
export async function health({ data }: { readonly data?: string }): Promise<void> {
  const dataDir = resolve(data ?? (process.env['FOURFOLD_DATA_DIR'] || '.fourfold'))
  const trouble = await withDeadline(findTrouble(dataDir), answerMs, 'this host').catch((error: Error) => error.message)
  if (trouble === null) console.log('healthy')
  else console.error(trouble)
  process.exit(trouble === null ? 0 : 1)
}

async function findTrouble(dataDir: string): Promise<string | null> {
  const note = await readSystemNote(dataDir)
  if (note === null) return `nothing serves on ${dataDir}`
  if (/^https?:/.test(note.url)) return await troubleAt(note.url)
  const { clones, workers } = (await askSystem({ dataDir, command: 'host', silenceMs: answerMs })) as Record<
    'clones' | 'workers',
    readonly { readonly state: string }[]
  >
  const [kind, members] = clones.length > 0 ? ['clone', clones] : ['worker', workers]
  return members.some(({ state }) => state === 'ready') ? null : `no ${kind} is ready`
}

/** The balancer says 200 while it reaches a clone. It is this host's own, so its certificate may be for another name. */
async function troubleAt(url: string): Promise<string | null> {
  const address = new URL(healthPath, url)
  if (address.hostname === '0.0.0.0') address.hostname = '127.0.0.1'
  if (address.hostname === '[::]') address.hostname = '[::1]'
  return await new Promise((done, fail) => {
    const ask = address.protocol === 'https:' ? askTls : askPlain
    const asking = ask(address, { rejectUnauthorized: false, agent: false }, (response) => {
      response.resume()
      done(response.statusCode === 200 ? null : `the balancer answers ${response.statusCode}: it reaches no clone`)
    })
    asking.once('error', fail)
    asking.end()
  })
}
