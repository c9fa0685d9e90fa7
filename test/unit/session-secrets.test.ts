/** The secrets that a laptop makes for itself. */

import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { developmentSecrets } from '../../src/sessions/development-secrets.ts'
import { createSigner } from '../../src/sessions/signer.ts'

async function makeDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-secrets-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  return join(directory, 'data')
}

it('development secrets are made once and stay, for this user only', async (t) => {
  const directory = await makeDirectory(t)
  const [first] = await Promise.all(Array.from({ length: 10 }, () => developmentSecrets(directory, {})))
  assert.deepEqual(await developmentSecrets(directory, {}), first)
  assert.deepEqual(await readdir(directory), ['session-secrets'])
  assert.equal((await stat(join(directory, 'session-secrets'))).mode & 0o777, 0o600)
  createSigner(first ?? [])
})

it('ten starts at once agree on one secret', async (t) => {
  const directory = await makeDirectory(t)
  const made = await Promise.all(Array.from({ length: 10 }, () => developmentSecrets(directory, {})))
  assert.equal(new Set(made.map((secrets) => secrets.join())).size, 1)
})

it('a file without a secret is told, and not taken for one', async (t) => {
  const directory = await makeDirectory(t)
  await mkdir(directory)
  await writeFile(join(directory, 'session-secrets'), '\n')
  await assert.rejects(developmentSecrets(directory, {}), { code: 'FF_SESSION_SECRETS_MISSING', message: /delete it/ })
})

it('production makes none', async (t) => {
  const directory = await makeDirectory(t)
  await assert.rejects(developmentSecrets(directory, { NODE_ENV: 'production' }), {
    code: 'FF_SESSION_SECRETS_MISSING',
  })
})

it('a value signed for one purpose is worthless for another', () => {
  const signer = createSigner(['a secret of at least thirty-two characters'])
  const signed = signer.sign('pin', '123')
  assert.deepEqual(signer.verify('pin', signed), { value: '123', current: true })
  assert.equal(signer.verify('reader', signed), null)
  assert.equal(signer.verify('session', signed), null)
})
