/** Makes everything as it was before anybody wrote, while the system is stopped. */

import { waitFor } from '../../support/wait-for.ts'

import type { Ground } from './servers.ts'

const rowsAsTheyWere = `do $$ begin
  if to_regclass('counters') is not null then
    update counters set version = 0, stamp = 'initial';
    delete from posts;
    insert into posts select key, right(key, 2)::int % 3, 0, 'initial' from tallies;
    update tallies set version = 0;
    update shaped set version = 0, stamp = 'initial';
  end if;
end $$`

/** Redis is empty afterwards, and both replicas are as far as the primary. */
export async function reset({ servers, redis }: Ground): Promise<void> {
  await redis.kill()
  await redis.startAgain('nothing')
  const end = await servers.with('primary', async (client) => {
    await client.query(rowsAsTheyWere)
    const { rows } = await client.query('select pg_current_wal_lsn()::text as lsn')
    return rows[0].lsn as string
  })
  for (const name of ['replica-1', 'replica-2'] as const) {
    const caughtUp = (): Promise<boolean> =>
      servers
        .with(name, (client) => client.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as there', [end]))
        .then(
          ({ rows }) => rows[0].there === true,
          () => false,
        )
    await waitFor(`${name} to have everything`, caughtUp, 60_000)
  }
}
