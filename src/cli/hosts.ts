/** `fourfold hosts`, and `fourfold rollout --admit`: what concerns all hosts of a system. */

import { loadCommand, type CommonOptions } from './settings.ts'
import { admitBuild, describeHosts, type HostsOverview } from '../app/roles/admit.ts'
import { shortBuildId } from '../clones/build/build-id.ts'

import type { HostsRollout } from '../clones/hosts/rollout-hosts.ts'

/** Says which hosts, clones and balancers the store knows, and which build is admitted. */
export async function hosts(file: string, options: CommonOptions): Promise<void> {
  const { config, log } = await loadCommand(file, options)
  console.log(formatHosts(await describeHosts(config, log)))
}

/** Moves readers to a build that clones run already. Ctrl-C takes back what is not finished. */
export async function admit(file: string, options: CommonOptions, rollout: Omit<HostsRollout, 'check'>): Promise<void> {
  const { config, log } = await loadCommand(file, options)
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort(new Error('called off')))
  await admitBuild(config, log, rollout, (text) => console.log(text), stop.signal)
}

/** A few lines for people. */
export function formatHosts({ admission, clones, balancers }: HostsOverview): string {
  const lines = [describeAdmission(admission), '', `clones: ${clones.length}`]
  for (const { id, buildId, state, address } of clones) {
    const role = roleOf(buildId, admission)
    lines.push(`  ${id.padEnd(40)} ${address.host}:${address.port}  build ${shortBuildId(buildId)} ${role}  ${state}`)
  }
  lines.push('', `balancers: ${balancers.length}`)
  for (const { id, entry } of balancers) {
    lines.push(`  ${id.padEnd(40)} ${entry === null ? 'not heard of' : `follows version ${entry.admission}`}`)
  }
  return lines.join('\n')
}

function describeAdmission(known: HostsOverview['admission']): string {
  if (known === null) return 'no build is admitted yet'
  const { current, next, share, halt } = known.admission
  const moving = next === undefined ? '' : `, ${Math.round(share * 100)} % of the readers on ${shortBuildId(next.id)}`
  return `build ${shortBuildId(current.id)} is admitted (ordinal ${current.ordinal}, version ${known.version})${moving}${halt === true ? ', halted' : ''}`
}

function roleOf(buildId: string, known: HostsOverview['admission']): string {
  if (buildId === known?.admission.current.id) return 'admitted'
  return buildId === known?.admission.next?.id ? 'next' : 'not admitted'
}
