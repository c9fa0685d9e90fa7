/** What is cached in the benchmark. */

import type { Thing } from './cache-clones.ts'

export interface Note {
  readonly id: number
  readonly author: string
  readonly title: string
  readonly text: string
}

const columns = 'id, author, title, text'

/** One row of some 180 bytes. */
export const note: Thing<Note | null> = {
  name: 'note',
  keyColumn: 'id',
  load: async (pool, key) => {
    const { rows } = await pool.query(`select ${columns} from notes where id = $1`, [key])
    return rows[0] ?? null
  },
  loadMany: async (pool, keys) => {
    const { rows } = await pool.query(`select ${columns} from notes where id = any($1::int[])`, [keys])
    return new Map(rows.map((row: Note) => [row.id, row]))
  },
}

export const rowsPerPage = 50

/** 50 rows, told apart one by one. */
export const page: Thing<readonly Note[]> = {
  name: 'page',
  load: async (pool, key) => {
    const ids = Array.from({ length: rowsPerPage }, (_, at) => 1 + ((key * rowsPerPage + at) % 200_000))
    const { rows } = await pool.query(`select ${columns} from notes where id = any($1::int[]) order by id`, [ids])
    return rows
  },
}
