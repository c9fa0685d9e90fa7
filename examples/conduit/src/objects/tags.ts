/** Tags as cached objects. */
import { anyOf, defineObject } from './define.ts'

/** A tag's name by its id; it never changes. */
export const tagName = defineObject({
  name: 'tag-name',
  load: async ({ main }, id: number): Promise<string | null> => {
    const row = await main.selectFrom('tags').select('name').where('id', '=', id).executeTakeFirst()
    return row?.name ?? null
  },
  loadMany: async ({ main }, ids: readonly number[]) => {
    const rows = await main.selectFrom('tags').select(['id', 'name']).where('id', '=', anyOf(ids)).execute()
    return new Map(rows.map((row) => [row.id, row.name]))
  },
  loadManyBy: 'id',
})

/** The id of the tag of that name. */
export const tagIdNamed = defineObject({
  name: 'tag-id',
  load: async ({ main }, name: string): Promise<number | null> => {
    const row = await main.selectFrom('tags').select('id').where('name', '=', name).executeTakeFirst()
    return row?.id ?? null
  },
})
