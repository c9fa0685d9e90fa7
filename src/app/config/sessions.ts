/** The settings of sessions: the secrets that sign them, how long they last, their cookie. */

import { minSecretLength } from '../../sessions/signer.ts'

import type { ConfigProblem, Incomplete } from '../../core/config.ts'
import type { OutputOf } from '../../core/config-schema.ts'

export const sessionsSchema = {
  kind: 'group',
  summary: 'Sessions: kept in the store, known to the browser by a signed cookie.',
  fields: {
    secrets: {
      kind: 'list',
      of: { kind: 'text', secret: true, summary: 'A secret.' },
      summary:
        'Secrets that sign cookies: the first signs, all verify, so secrets can be changed without logging anybody out. At least 32 characters each. Made for you in development; required when `NODE_ENV` is `production`.',
    },
    idle: { kind: 'duration', default: '7d', long: true, summary: 'A session that is not used for so long ends.' },
    absolute: {
      kind: 'duration',
      default: '30d',
      long: true,
      summary: 'A session ends after so long, however much it is used.',
    },
    cookie: {
      kind: 'text',
      default: 'ff_session',
      summary: 'Name of the cookie. `__Host-` is put before it where the connection is TLS.',
    },
    secure: {
      kind: 'choice',
      options: ['auto', true, false],
      default: 'auto',
      summary: "Whether the cookie is `Secure`: `auto` where the browser's connection is TLS.",
    },
  },
} as const

type ResolvedSessions = OutputOf<typeof sessionsSchema>

/** What no field can see by itself. */
export function checkSessions(
  sessions: Incomplete<ResolvedSessions>,
  env: Readonly<Record<string, string | undefined>>,
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const { absoluteMs, idleMs, secrets, cookie } = sessions
  if (cookie !== undefined && !/^[\w!#$%&'*+.^`|~-]+$/.test(cookie)) {
    problems.push({ path: 'sessions.cookie', message: `expected the name of a cookie, got ${JSON.stringify(cookie)}` })
  }
  if (absoluteMs !== undefined && idleMs !== undefined && absoluteMs < idleMs) {
    problems.push({ path: 'sessions.absolute', message: 'expected at least sessions.idle' })
  }
  if (env['NODE_ENV'] === 'production' && (secrets ?? []).length === 0) {
    problems.push({ path: 'sessions.secrets', message: 'is required in production; set FOURFOLD_SECRETS' })
  }
  for (const [index, secret] of (secrets ?? []).entries()) {
    if (secret !== undefined && secret.length < minSecretLength) {
      problems.push({
        path: `sessions.secrets[${index}]`,
        message: `expected at least ${minSecretLength} characters, got ${secret.length}`,
      })
    }
  }
  return problems
}
