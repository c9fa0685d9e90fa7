/**
 * Passwords, kept as scrypt hashes with their parameters beside them, so that the cost can be raised later without
 * locking anyone out. The work runs on libuv's threads: the event loop goes on serving meanwhile.
 */
import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto'

/** OWASP's recommendation for 16 MiB a hash. Tests, which make hundreds of accounts, name a smaller power of two. */
const COST = { N: 2 ** Number(process.env['CONDUIT_PASSWORD_COST'] ?? 14), r: 8, p: 5 }
const KEY_BYTES = 32

/** A hash that no password matches: checked where there is no account, so that both take equally long. */
const NOBODY = `scrypt$${COST.N}$${COST.r}$${COST.p}$AAAAAAAAAAAAAAAAAAAAAA$${'A'.repeat(43)}`

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const key = await derive(password, salt, COST)
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64url'), key.toString('base64url')].join('$')
}

/** Whether the password belongs to the hash; without a hash it is as slow, and false. */
export async function verifyPassword(password: string, hash: string | undefined): Promise<boolean> {
  const [, N, r, p, salt = '', expected = ''] = (hash ?? NOBODY).split('$')
  const key = await derive(password, Buffer.from(salt, 'base64url'), { N: Number(N), r: Number(r), p: Number(p) })
  return timingSafeEqual(key, Buffer.from(expected, 'base64url')) && hash !== undefined
}

function derive(password: string, salt: Buffer, cost: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, KEY_BYTES, cost, (error, key) => (error ? reject(error) : resolve(key)))
  })
}
