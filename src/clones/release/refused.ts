import { FourfoldError } from '../../core/errors.ts'

/** An app that cannot become a release as it is. */
export function refused(message: string, fields: Readonly<Record<string, unknown>> = {}): FourfoldError {
  return new FourfoldError('FF_RELEASE_REFUSED', message, { fields })
}
