/** `fourfold start --role balancer|clones|workers`: one host of several. */

import { requireWritable } from './data-directory.ts'
import { loadCommand, type CommandContext, type CommonOptions } from './settings.ts'
import { startBalancerHost } from '../app/roles/balancer.ts'
import { startClones } from '../app/roles/clones.ts'
import { shortBuildId } from '../clones/build/build-id.ts'
import { FourfoldError } from '../core/errors.ts'
import { stopOnSignals } from '../core/lifecycle.ts'

interface Host {
  stop(): Promise<void>
}

type Role = (context: CommandContext, signal: AbortSignal, say: (lines: readonly string[]) => void) => Promise<Host>

const roles: Readonly<Record<string, Role>> = {
  balancer: async ({ app, config, log }, signal, say) => {
    const host = await startBalancerHost({ app, config, log, signal })
    say([
      `${host.url}   balancer of ${host.host}`,
      '',
      'The clones are those that the store knows; requests wait until there are some.',
    ])
    return host
  },
  clones: async ({ app, appFile, config, overrides, log }, signal, say) => {
    const onStep = (what: string): void => log.debug({}, `starting: ${what}`)
    const host = await startClones({ app, appFile, config, overrides, env: process.env, log, signal, onStep })
    const count = host.supervisor.members('clone').length
    say([
      `${count} clone${count === 1 ? '' : 's'} of ${host.host}   build ${shortBuildId(host.build.id)} (${host.build.id})`,
      '',
      'They get requests when a balancer follows the same store and their build is admitted.',
    ])
    return host
  },
  workers: async ({ app, appFile, config, overrides, log }, signal, say) => {
    const onStep = (what: string): void => log.debug({}, `starting: ${what}`)
    const parts = { app, appFile, config, overrides, env: process.env, log, signal, onStep }
    const host = await startClones({ ...parts, role: 'workers' })
    const count = host.supervisor.members('worker').length
    say([
      `${count} worker${count === 1 ? '' : 's'} of ${host.host}   build ${shortBuildId(host.build.id)} (${host.build.id})`,
      '',
      'They do the jobs that they know, and bake the pages of their own build.',
    ])
    return host
  },
}

/** Starts this host's part of the system and runs until a signal stops it. @throws FF_APP_ROLE */
export async function startRole(file: string, role: string, options: CommonOptions): Promise<void> {
  const start = roles[role]
  if (start === undefined) throw unknownRole(role)
  const context = await loadCommand(file, options)
  await requireWritable(context.config.dataDir)
  const calledOff = new AbortController()
  stopOnSignals({
    log: context.log,
    stop: async () => {
      calledOff.abort()
      await (await starting.catch(() => null))?.stop()
    },
  })
  const say = (lines: readonly string[]): void => {
    if (!calledOff.signal.aborted) console.log(['', ...lines, 'Ctrl-C stops this host.', ''].join('\n  '))
  }
  const starting = start(context, calledOff.signal, say)
  try {
    await starting
  } catch (error) {
    // Who called the start off waits for its end and ends the process.
    if (!calledOff.signal.aborted) throw error
  }
}

function unknownRole(role: string): FourfoldError {
  const message = `--role: expected all, balancer, clones or workers, got ${JSON.stringify(role)}`
  return new FourfoldError('FF_APP_ROLE', message)
}
