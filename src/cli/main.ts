#!/usr/bin/env node
/** The command `fourfold`. Each command stands in a file of its own; this one only reads the command line. */

import { Command, InvalidArgumentError, Option } from 'commander'

import { requireNode } from './node-version.ts'
import { reportFailure } from './report-failure.ts'

import type { BakeOptions } from './bake.ts'
import type { BuildOptions } from './build.ts'
import type { CheckCommandOptions } from './check.ts'
import type { DoctorOptions } from './doctor.ts'
import type { JobsOptions } from './jobs.ts'
import type { RolloutOptions } from './rollout.ts'
import type { CommonOptions } from './settings.ts'

const program = new Command('fourfold')
  .description('Runs a web app as many identical clones, with every read as fresh as its reader needs')
  .showHelpAfterError()

function command(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('[app]', 'the file that exports the app', 'src/app.ts')
    .option('--data <dir>', 'where embedded servers keep their data')
}

function wholeNumber(text: string): number {
  if (/^\d+$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected a whole number')
}

function listed(text: string, before: readonly string[]): readonly string[] {
  return [...before, text]
}

command('start', 'run the app as a system: databases, store, clones and balancer')
  .option('--port <port>', 'the public port', wholeNumber)
  .option('--host <address>', 'the address to listen on')
  .option('--clones <count>', 'how many clones', wholeNumber)
  .option('--no-seed', 'do not fill an empty database')
  .option('--role <role>', 'what runs on this host: all, balancer, clones or workers', 'all')
  .action(async (file: string, { role, ...options }: CommonOptions & { seed: boolean; role: string }) => {
    const { start } = await import('./start.ts')
    if (role === 'all') return await start(file, options)
    const { startRole } = await import('./start-role.ts')
    await startRole(file, role, options)
  })

command('rollout', 'bring the app as it is now into service beside the build that serves, losing no request')
  .option('--percent <shares>', 'move readers a share at a time: 10,50,100 (default: all at once)')
  .option('--hold <duration>', 'how long each share is watched: 30s')
  .option('--max-error-rate <share>', 'go back where more requests fail than with the build before: 0.05 or 5%')
  .option('--abort', 'call the rollout that is under way off')
  .option('--admit <build>', 'several hosts: move readers to a build that clones of some host run already')
  .option('--without <balancer>', 'with --admit: a balancer that is switched off; may be repeated', listed, [])
  .action(async (file: string, options: RolloutOptions) => {
    const { rollout } = await import('./rollout.ts')
    await rollout(file, options)
  })

command('hosts', 'several hosts: the clones and balancers that the store knows, and which build is admitted').action(
  async (file: string, options: CommonOptions) => {
    const { hosts } = await import('./hosts.ts')
    await hosts(file, options)
  },
)

command('scale', 'change how many clones run')
  .requiredOption('--clones <count>', 'how many clones', wholeNumber)
  .action(async (file: string, { clones, ...options }: CommonOptions & { clones: number }) => {
    const { scale } = await import('./rollout.ts')
    await scale(file, clones, options)
  })

command('dev', 'one clone that starts again when a file of the app changes')
  .option('--port <port>', 'the public port', wholeNumber)
  .action(async (file: string, options: CommonOptions) => {
    const { dev } = await import('./dev.ts')
    await dev(file, options)
  })

command('seed', 'fill the database; what the app does not know of is passed on to it: --users 2000')
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async (_file: string, options: CommonOptions, self: Command) => {
    const { seed } = await import('./seed.ts')
    await seed(self.args, options)
  })

command('reset', 'delete the data of the embedded servers')
  .option('--yes', 'do not ask')
  .action(async (file: string, options: CommonOptions & { yes?: boolean }) => {
    const { reset } = await import('./reset.ts')
    await reset(file, options)
  })

command('bake', 'have the workers of the system that runs bake what is over or missing')
  .option('--all', 'everything, whatever its age')
  .option('--path <address>', 'one page, whatever its age: /article/a')
  .action(async (file: string, options: BakeOptions) => {
    const { bake } = await import('./bake.ts')
    await bake(file, options)
  })

command('jobs', 'what waits, runs and has failed')
  .option('--show <id>', 'one job, with the error of each attempt')
  .option('--failed', 'those that have failed')
  .option('--retry <id or name>', 'lets one that has failed be tried again, or all of a name')
  .option('--cancel <id>', 'cancels one; one that runs is told')
  .option('--pause <name>', 'begins no more of these, in the whole cluster')
  .option('--resume <name>', 'begins them again')
  .option('--json', 'the answer as JSON')
  .action(async (file: string, options: JobsOptions) => {
    const { jobs } = await import('./jobs.ts')
    await jobs(file, options)
  })

command('status', 'what runs on this data directory').action(async (file: string, options: CommonOptions) => {
  const { status } = await import('./status.ts')
  await status(file, options)
})

command(
  'doctor',
  'whether the database servers allow what is needed, with the exact fix; ends with 1 where one does not',
)
  .option('--json', 'the report as JSON')
  .option('--setup', 'make the publication and the event triggers now')
  .option('--as <url>', 'with --setup: the address of a role that may make event triggers')
  .option('--remove-stream', 'take the slot, the publication and the event triggers away')
  .action(async (file: string, options: DoctorOptions) => {
    const { doctor } = await import('./doctor.ts')
    await doctor(file, options)
  })

command('config', 'the configuration in force, and where each setting comes from').action(
  async (file: string, options: CommonOptions) => {
    const { config } = await import('./config.ts')
    await config(file, options)
  },
)

program
  .command('health')
  .description('whether this host serves, for the health checks of containers: ends with 0 or 1')
  .option('--data <dir>', 'the data directory (default: FOURFOLD_DATA_DIR, else .fourfold)')
  .action(async (options: { data?: string }) => {
    const { health } = await import('./health.ts')
    await health(options)
  })

command('build', 'make a release: compiled files and production packages, the same bytes from the same inputs')
  .option('--out <dir>', 'where it goes', 'release')
  .option('--max-size <size>', 'how large the packages may be', '60MB')
  .option('--scripts', 'let packages run their lifecycle scripts')
  .option('--no-install', 'do not install the packages')
  .option('--no-load', 'do not load the app, where it needs its environment to be loaded')
  .option('--verbose', 'list what was left out, and the largest packages')
  .action(async (file: string, options: BuildOptions) => {
    const { build } = await import('./build.ts')
    await build(file, options)
  })

program
  .command('check')
  .description('the golden rule: replays requests on one clone and on several, and reports what differs')
  .argument('<requests>', 'a script of requests: a .http file, or a .har file that a browser saved')
  .argument('[app]', 'the file that exports the app', 'src/app.ts')
  .option('--clones <count>', 'how many clones are compared with one', wholeNumber, 3)
  .option('--runs <count>', 'in how many ways requests are spread over them', wholeNumber, 3)
  .option('--ignore <what>', 'header:NAME, json:$.PATH, text:PATTERN or write:PATH; may be repeated', listed, [])
  .option('--var <name=value>', 'a variable of the script; may be repeated', listed, [])
  .addOption(new Option('--writes <policy>', 'whether clones may write files').choices(['refuse', 'report']))
  .option('--timeout <duration>', 'how long an answer may take', '30s')
  .option('--no-seed', 'do not fill the databases')
  .option('--embedded', 'use embedded servers where the configuration names others')
  .option('--external', 'replay on the servers that the configuration names: writes to them')
  .option('--json', 'the report as JSON')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (requests: string, file: string, options: CheckCommandOptions) => {
    const { check } = await import('./check.ts')
    await check(requests, file, options)
  })

requireNode()
try {
  await program.parseAsync()
} catch (error) {
  reportFailure(error)
}
