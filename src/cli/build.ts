/** `fourfold build`. */

import { createRequire } from 'node:module'

import { configSchemaText, resolveConfig } from '../app/config.ts'
import { loadApp } from '../app/load-app.ts'
import { shortBuildId } from '../clones/build/build-id.ts'
import { makeRelease, megabytes, type MadeRelease } from '../clones/release/make-release.ts'
import { parseBytes } from '../core/bytes.ts'
import { stopOnSignals } from '../core/lifecycle.ts'
import { createLogger } from '../core/log.ts'

export interface BuildOptions {
  readonly out: string
  readonly maxSize: string
  readonly data?: string
  readonly install: boolean
  readonly load: boolean
  readonly scripts?: boolean
  readonly verbose?: boolean
}

/** Makes a release of the app, and says what is in it. */
export async function build(file: string, options: BuildOptions): Promise<void> {
  const maxPackageBytes = parseBytes(options.maxSize, '--max-size')
  const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }
  const calledOff = new AbortController()
  const making = makeRelease({
    appFile: file,
    out: options.out,
    dataDir: options.data ?? (await dataDirOf(file, options.load)),
    schema: configSchemaText,
    fourfoldVersion: version,
    install: options.install,
    scripts: options.scripts ?? false,
    maxPackageBytes,
    signal: calledOff.signal,
  })
  // Npm would go on without us, and what is half made may hold the project's .npmrc.
  stopOnSignals({
    log: createLogger({ level: 'warn', name: 'fourfold', output: 2 }),
    stop: async () => {
      calledOff.abort()
      await making.catch(() => undefined)
    },
    exit: (code) => process.exit(code === 0 ? interrupted : code),
  })
  const made = await making.catch((error: unknown) => {
    if (!calledOff.signal.aborted) throw error
    return null
  })
  if (made === null) return
  console.log(describe(made, options, maxPackageBytes))
  // The app's modules may have opened something when they were loaded.
  process.exit(0)
}

const interrupted = 130

/**
 * Where the app keeps its data: as the environment says, else the app. It is loaded, which also proves that the file
 * exports one, without the rest of the environment: a build knows no secrets.
 */
async function dataDirOf(file: string, load: boolean): Promise<string> {
  const said = process.env['FOURFOLD_DATA_DIR'] || undefined
  if (!load) return said ?? '.fourfold'
  const { definition } = await loadApp(file)
  return said ?? resolveConfig(definition, {}).dataDir
}

function describe(made: MadeRelease, { out, verbose, install }: BuildOptions, maxBytes: number): string {
  const { manifest, files, leftOut, packages } = made
  const secrets = leftOut.filter(({ secret }) => secret)
  const listed = leftOut.map(({ path, because }) => `    ${path}   ${because}`)
  const size = manifest.packages === null ? null : megabytes(manifest.packages.bytes)
  const largest = packages.slice(0, 10).map(({ name, bytes }) => `    ${megabytes(bytes).padStart(8)}  ${name}`)
  return [
    '',
    `  build      ${shortBuildId(manifest.buildId)}   (${manifest.buildId})`,
    `  files      ${files.count} (${files.compiled} compiled), ${megabytes(files.bytes)}`,
    `  left out   ${leftOut.length}${verbose === true ? ':' : leftOut.length > 0 ? ': --verbose lists them' : ''}`,
    ...(verbose === true ? listed : []),
    ...(secrets.length === 0 ? [] : [`  secrets    left out: ${secrets.map(({ path }) => path).join(', ')}`]),
    install && size !== null
      ? `  packages   ${packages.length}, ${size} of ${megabytes(maxBytes)} at most`
      : '  packages   not installed: npm ci --omit=dev in the release',
    ...(verbose === true ? largest : []),
    ...(made.scriptsNotRun.length === 0
      ? []
      : [`  scripts    not run: ${made.scriptsNotRun.join(', ')} (--scripts runs them)`]),
    `  release    ${out}, for Node ${manifest.node} on ${manifest.arch}`,
    ...made.warnings.map((warning) => `  warning    ${warning}`),
    '',
  ].join('\n')
}
