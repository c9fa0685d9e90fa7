/** `fourfold status`. */

import { loadCommand, type CommonOptions } from './settings.ts'
import { askSystem } from '../app/control-client.ts'
import { readSystemNote } from '../app/system-file.ts'
import { shortBuildId } from '../clones/build/build-id.ts'

import type { BuildStatus } from '../app/rollouts.ts'

/** Says what runs on a data directory; ends with 3 where nothing does, as service managers expect. */
export async function status(file: string, options: CommonOptions): Promise<void> {
  const { config } = await loadCommand(file, options)
  const note = await readSystemNote(config.dataDir)
  if (note === null) {
    console.log(`nothing runs on ${config.dataDir}`)
    process.exitCode = 3
    return
  }
  console.log(`${note.url}   since ${note.since}, supervisor pid ${note.pid}`)
  const builds = await askSystem({ dataDir: config.dataDir, command: 'status', silenceMs }).catch(() => null)
  const known = builds === null ? null : (builds as BuildStatus)
  if (known !== null) console.log(describeBuilds(known))
  for (const { name, pid } of note.processes) {
    const build = known?.clones.find(({ id }) => id === name)?.buildId
    console.log(`  ${name.padEnd(14)} pid ${pid}${build === undefined ? '' : `   build ${shortBuildId(build)}`}`)
  }
}

const silenceMs = 2000

function describeBuilds({ admission, takenBack, quarantined, quarantinedSinceStart }: BuildStatus): string {
  if (admission === null) return '  every build is admitted'
  const { current, next, share } = admission
  const moved = next === undefined ? '' : `, and ${share * 100} % of the readers on ${shortBuildId(next.id)}`
  return [
    `  build ${shortBuildId(current.id)} serves${moved}`,
    ...(takenBack === null ? [] : [`  build ${shortBuildId(takenBack)} was taken back`]),
    ...(quarantinedSinceStart === 0
      ? []
      : [`  ${quarantinedSinceStart} clones were quarantined since the start, ${quarantined.length} are now`]),
  ].join('\n')
}
