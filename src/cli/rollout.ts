/** `fourfold rollout` and `fourfold scale`: ask the system that runs. */

import { loadCommand, type CommonOptions } from './settings.ts'
import { askSystem } from '../app/control-client.ts'
import { parseDuration } from '../core/duration.ts'
import { FourfoldError } from '../core/errors.ts'

export interface RolloutOptions extends CommonOptions {
  readonly percent?: string
  readonly hold?: string
  readonly maxErrorRate?: string
  readonly abort?: boolean
  readonly admit?: string
  readonly without?: readonly string[]
}

/** Longer than a migration or the start of a clone may take without a word. */
const silenceMs = 660_000
const defaultHoldMs = 30_000
const defaultErrorRate = 0.05
const leastRequestsOnHosts = 20

/** Brings the app's files as they are now into service, and tells each step; fails where they do not get there. */
export async function rollout(file: string, options: RolloutOptions): Promise<void> {
  if (options.admit !== undefined) return await admitOnHosts(file, options.admit, options)
  const { appFile, config } = await loadCommand(file, options)
  const { dataDir } = config
  if (options.abort === true) {
    await askSystem({ dataDir, command: 'abort', silenceMs })
    console.log('the rollout was called off')
    return
  }
  const shares = readShares(options.percent)
  const holdMs =
    options.hold === undefined ? (shares.length > 1 ? defaultHoldMs : 0) : parseDuration(options.hold, '--hold')
  const maxErrorRate = readRate(options.maxErrorRate)
  const begun = performance.now()
  const say = (text: string): void => console.log(`${seconds(begun).padStart(7)}  ${text}`)
  process.once('SIGINT', () => {
    console.error('The rollout goes on in the system. To call it off: fourfold rollout --abort')
    process.exit(130)
  })
  const input = { appFile, shares, holdMs, maxErrorRate }
  await askSystem({ dataDir, command: 'rollout', input, onProgress: say, silenceMs: silenceMs + holdMs })
}

/** The same on several hosts, where the new build's clones run already. */
async function admitOnHosts(file: string, build: string, options: RolloutOptions): Promise<void> {
  const { admit } = await import('./hosts.ts')
  const shares = readShares(options.percent)
  const held = shares.length > 1 ? defaultHoldMs : 0
  const holdMs = options.hold === undefined ? held : parseDuration(options.hold, '--hold')
  const tolerance = { maxErrorRate: readRate(options.maxErrorRate), leastRequests: leastRequestsOnHosts }
  await admit(file, options, { build, shares, holdMs, tolerance, without: options.without ?? [] })
}

/** Changes how many clones run. */
export async function scale(file: string, count: number, options: CommonOptions): Promise<void> {
  const { config } = await loadCommand(file, options)
  await askSystem({ dataDir: config.dataDir, command: 'scale', input: { clones: count }, silenceMs })
  console.log(`${count} clones run`)
}

/** `10,50,100` as shares; the last must be all. Without it: at once. */
function readShares(text: string | undefined): number[] {
  if (text === undefined) return [1]
  const shares = text.split(',').map((part) => Number(part.trim().replace(/%$/, '')) / 100)
  const rising = shares.every((share, index) => share > (shares[index - 1] ?? 0) && share <= 1)
  if (rising && shares.at(-1) === 1) return shares
  throw new FourfoldError(
    'FF_ROLLOUT_REFUSED',
    `--percent: expected rising numbers up to 100, such as 10,50,100; got ${text}`,
  )
}

function readRate(text: string | undefined): number {
  if (text === undefined) return defaultErrorRate
  const rate = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text)
  if (text.trim() !== '' && rate >= 0 && rate <= 1) return rate
  throw new FourfoldError('FF_ROLLOUT_REFUSED', `--max-error-rate: expected a share such as 0.05 or 5%; got ${text}`)
}

function seconds(begun: number): string {
  return `${((performance.now() - begun) / 1000).toFixed(1)} s`
}
