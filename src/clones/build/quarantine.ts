/** What is said of a process that is another build than it was started for. */

import { FourfoldError } from '../../core/errors.ts'
import { shortBuildId } from './build-id.ts'

export function quarantine(expected: string, found: string): FourfoldError {
  const message =
    `it was started for build ${shortBuildId(expected)} and runs ${shortBuildId(found) || 'none'}: its files, packages or ` +
    'Node were changed in place. It gets no requests. Roll the change out, or take it back'
  return new FourfoldError('FF_CLONES_QUARANTINED', message, { fields: { expected, found } })
}
